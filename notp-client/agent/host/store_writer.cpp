#include "notp-client/agent/host/store_writer.hpp"

#include "common/log.hpp"
#include "common/spawn.hpp"

namespace notp::agent {

namespace asio = boost::asio;

void StoreWriter::install(InstallRequest request, ContentSink* recent,
                          InstallHandler on_installed) {
  spawn(executor_, run_install(std::move(request), recent, std::move(on_installed)));
}

asio::awaitable<void> StoreWriter::run_install(InstallRequest request, ContentSink* recent,
                                               InstallHandler on_installed) {
  auto outcome = co_await transport::offload(
      worker_, [this, &request, recent] { return install_release(request, store_, recent); });
  if (!outcome)
    log::write(log::Level::kError, "release_not_installed", outcome.error(),
               {{"ledger", request.ledger.text()}, {"version", request.version}});
  on_installed(std::move(outcome));
  collect_garbage();
}

void StoreWriter::scan(ScanRequest request, ScanHandler on_scanned) {
  spawn(executor_, run_scan(std::move(request), std::move(on_scanned)));
}

asio::awaitable<void> StoreWriter::run_scan(ScanRequest request, ScanHandler on_scanned) {
  auto scan = co_await transport::offload(
      worker_, [this, &request] { return scan_content(request, store_); });
  on_scanned(request, std::move(scan));
}

void StoreWriter::persist(store::StoreChange change, FailureHandler on_failed) {
  spawn(executor_, run_persist(std::move(change), std::move(on_failed)));
}

asio::awaitable<void> StoreWriter::run_persist(store::StoreChange change,
                                               FailureHandler on_failed) {
  const auto kept = co_await transport::offload(
      worker_, [this, &change] { return store::apply_change(store_, change); });
  if (kept)
    collect_garbage();
  else
    on_failed(change, kept.error());
}

asio::awaitable<Result<void>> StoreWriter::persist_all(std::vector<store::StoreChange> changes) {
  co_return co_await transport::offload(worker_, [this, &changes]() -> Result<void> {
    for (const store::StoreChange& change : changes) {
      NOTP_TRY(store::apply_change(store_, change));
    }
    return {};
  });
}

void StoreWriter::collect_garbage() {
  if (collecting_ || stopping_) return;
  collecting_ = true;
  spawn(executor_, run_collection());
}

asio::awaitable<void> StoreWriter::run_collection() {
  for (bool more = true; more && !stopping_;) {
    const auto collected =
        co_await transport::offload(worker_, [this] { return store_.collect_garbage(); });
    if (!collected) log::write(log::Level::kWarn, "garbage_not_collected", collected.error());
    more = collected && *collected;
  }
  collecting_ = false;
}

}  // namespace notp::agent
