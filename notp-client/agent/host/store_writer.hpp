// Runs the store's work in sequence on its own thread: installations, scans, durable changes, and
// in between the garbage collection of dropped releases.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <vector>

#include "notp-client/agent/core/content_scan.hpp"
#include "notp-client/agent/core/install.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// All methods run on the executor's thread, which also calls the handlers, each once.
class StoreWriter {
 public:
  using InstallHandler = std::function<void(Result<store::StoredRelease>)>;
  using ScanHandler = std::function<void(const ScanRequest&, Result<ContentScan>)>;
  using FailureHandler = std::function<void(const store::StoreChange&, const Error&)>;

  // `store` and `worker` outlive this object. `worker` has one thread.
  StoreWriter(boost::asio::any_io_executor executor, store::Store& store,
              transport::OffloadPool& worker)
      : executor_(executor), store_(store), worker_(worker) {}

  // `recent` outlives this object; null: large contents are discarded.
  void install(InstallRequest request, ContentSink* recent, InstallHandler on_installed);
  void scan(ScanRequest request, ScanHandler on_scanned);
  // Calls the handler if the change could not be made durable.
  void persist(store::StoreChange change, FailureHandler on_failed);
  // Persists the changes in order, up to the first that fails.
  boost::asio::awaitable<Result<void>> persist_all(std::vector<store::StoreChange> changes);
  // Starts no further work; work under way completes.
  void stop() { stopping_ = true; }
  // Runs while the store is idle: other work waits for one step at most.
  void collect_garbage();

 private:
  boost::asio::awaitable<void> run_install(InstallRequest request, ContentSink* recent,
                                           InstallHandler on_installed);
  boost::asio::awaitable<void> run_scan(ScanRequest request, ScanHandler on_scanned);
  boost::asio::awaitable<void> run_persist(store::StoreChange change, FailureHandler on_failed);
  boost::asio::awaitable<void> run_collection();

  const boost::asio::any_io_executor executor_;
  store::Store& store_;
  transport::OffloadPool& worker_;
  bool collecting_ = false;
  bool stopping_ = false;
};

}  // namespace notp::agent
