// Makes the artifacts of releases that a registry has lost, on a thread of its own: neither the
// session nor the store waits for the encoder.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "notp-client/agent/core/give_back.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// Reads the store one file list or content at a time, between the store's other work. All methods
// run on the executor's thread, which also calls the handlers, each once.
class ReleaseReturner {
 public:
  using Handler = std::function<void(const ReturnJob&, Result<ReturnedArtifact>)>;

  // `store` and `store_worker` outlive this object; `contents` reads the store from any other
  // thread.
  ReleaseReturner(boost::asio::any_io_executor executor, store::Store& store,
                  transport::OffloadPool& store_worker, model::BlobLoader contents);
  ~ReleaseReturner();

  // One at a time.
  void give_back(ReturnJob job, Handler on_returned);
  // What is being made is not wanted any longer: it ends soon, with kCancelled.
  void cancel();
  // The same for ever; no handler is called afterwards.
  void stop();

 private:
  using Flag = std::shared_ptr<std::atomic<bool>>;

  boost::asio::awaitable<void> run(ReturnJob job, Handler on_returned, Flag cancelled,
                                   Flag stopped);
  ReturnContents contents() const;

  const boost::asio::any_io_executor executor_;
  store::Store& store_;
  transport::OffloadPool& store_worker_;
  const model::BlobLoader blobs_;
  Flag cancelled_;                                // of the job under way
  const Flag stopped_;                            // outlives this object in its coroutines
  std::unique_ptr<transport::OffloadPool> pool_;  // one thread; null before the first job
};

}  // namespace notp::agent
