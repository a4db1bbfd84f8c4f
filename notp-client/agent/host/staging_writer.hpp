// Writes received parts of artifacts to disk, one piece at a time: while the disk is slow, pieces
// wait in the session.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>

#include "notp-client/agent/core/staging.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// All methods run on the executor's thread, which also calls the handlers.
class StagingWriter {
 public:
  struct Handlers {
    std::function<std::optional<StagingStep>()> next;  // nullopt: nothing for now
    std::function<void()> failed;                      // `next` should return no more steps
  };
  // `staging` and `worker` outlive this object. `worker` has one thread.
  StagingWriter(boost::asio::any_io_executor executor, store::Staging& staging,
                transport::OffloadPool& worker, Handlers handlers)
      : executor_(executor), staging_(staging), worker_(worker), handlers_(std::move(handlers)) {}

  // Runs the next steps, unless it is running already.
  void run();
  void stop() { stopping_ = true; }

 private:
  boost::asio::awaitable<void> run_step(StagingStep step);

  const boost::asio::any_io_executor executor_;
  store::Staging& staging_;
  transport::OffloadPool& worker_;
  const Handlers handlers_;
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace notp::agent
