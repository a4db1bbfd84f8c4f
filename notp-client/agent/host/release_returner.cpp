#include "notp-client/agent/host/release_returner.hpp"

#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "common/log.hpp"
#include "common/spawn.hpp"

namespace notp::agent {

namespace asio = boost::asio;

ReleaseReturner::ReleaseReturner(asio::any_io_executor executor, store::Store& store,
                                 transport::OffloadPool& store_worker, model::BlobLoader contents)
    : executor_(std::move(executor)),
      store_(store),
      store_worker_(store_worker),
      blobs_(std::move(contents)),
      stopped_(std::make_shared<std::atomic<bool>>(false)) {}

ReleaseReturner::~ReleaseReturner() { stop(); }

void ReleaseReturner::give_back(ReturnJob job, Handler on_returned) {
  if (*stopped_) return;
  if (!pool_) pool_ = std::make_unique<transport::OffloadPool>(1);
  cancelled_ = std::make_shared<std::atomic<bool>>(false);
  spawn(executor_, run(std::move(job), std::move(on_returned), cancelled_, stopped_));
}

void ReleaseReturner::cancel() {
  if (cancelled_) *cancelled_ = true;
}

void ReleaseReturner::stop() {
  *stopped_ = true;
  cancel();
}

asio::awaitable<void> ReleaseReturner::run(ReturnJob job, Handler on_returned, Flag cancelled,
                                           Flag stopped) {
  if (*stopped) co_return;  // before it began: this object may have gone
  auto artifact = co_await transport::offload(*pool_, [&job, cancelled, from = contents()] {
    return make_return(job, from, [&cancelled] { return !*cancelled; });
  });
  if (*stopped) co_return;
  const trust::ReleaseRef& ref = job.release.ref;
  if (artifact)
    log::info("release_returned", {{"ledger", ref.ledger.text()},
                                   {"version", ref.version},
                                   {"bytes", artifact->bytes->size()},
                                   {"base", artifact->base ? artifact->base->version : 0}});
  else if (artifact.error().code != ErrorCode::kCancelled)
    log::write(log::Level::kWarn, "release_unreadable", artifact.error(),
               {{"ledger", ref.ledger.text()}, {"version", ref.version}});
  on_returned(job, std::move(artifact));
}

ReturnContents ReleaseReturner::contents() const {
  return {
      .tree = [this](const model::LedgerId& ledger, uint64_t version) -> Result<model::TreePtr> {
        // Only the task holds the promise: if it is dropped, the wait ends.
        auto loaded = std::make_shared<std::promise<Result<model::TreePtr>>>();
        auto future = loaded->get_future();
        asio::post(store_worker_.executor(),
                   [&store = store_, ledger, version, loaded = std::move(loaded)] {
                     loaded->set_value(store.tree(ledger, version));
                   });
        try {
          return future.get();
        } catch (const std::future_error&) {
          return fail(ErrorCode::kCancelled, "the agent stops");
        }
      },
      .blob = blobs_};
}

}  // namespace notp::agent
