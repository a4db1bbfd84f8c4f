#include "notp-client/agent/host/staging_writer.hpp"

#include "common/log.hpp"
#include "common/spawn.hpp"

namespace notp::agent {

namespace asio = boost::asio;

void StagingWriter::run() {
  if (running_ || stopping_) return;
  auto step = handlers_.next();
  if (!step) return;
  running_ = true;
  spawn(executor_, run_step(*std::move(step)));
}

asio::awaitable<void> StagingWriter::run_step(StagingStep step) {
  const auto staged = co_await transport::offload(worker_, [this, &step]() -> Result<void> {
    if (const auto* piece = std::get_if<store::StagedPiece>(&step)) return staging_.write(*piece);
    staging_.drop(std::get<DropStaged>(step).ledger);
    return {};
  });
  running_ = false;
  if (!staged) {
    log::write(log::Level::kWarn, "staging_failed", staged.error());
    handlers_.failed();
  }
  run();
}

}  // namespace notp::agent
