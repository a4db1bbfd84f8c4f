#include "notp-client/pdp/embedded_pdp.hpp"

#include <boost/asio/post.hpp>
#include <mutex>

#include "notp-client/pdp/embedded_compile.hpp"
#include "notp-client/pdp/latest_job.hpp"

namespace notp {

class EmbeddedPdp::State : public std::enable_shared_from_this<State> {
 public:
  State(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool, rego::Limits limits)
      : agent_(std::move(agent)), compiler_(limits), job_(pool) {}

  void start(PdpReport report) { report_ = std::move(report); }

  void activate(CompositionPtr composition, BlobLoader load) {
    job_.submit([this, composition = std::move(composition), load = std::move(load)] {
      PdpOutcome outcome{composition, compile(composition, load)};
      boost::asio::post(agent_,
                        [self = shared_from_this(), outcome = std::move(outcome)]() mutable {
                          if (self->report_) self->report_(std::move(outcome));
                        });
    });
  }

  void close() {
    report_ = nullptr;
    job_.close();
  }

  std::shared_ptr<const rego::Policy> policy() {
    const std::lock_guard guard(mutex_);
    return policy_;
  }

 private:
  std::optional<Error> compile(const CompositionPtr& composition, const BlobLoader& load) {
    // Going back to what is active needs no second compilation.
    if (active_ && active_->ledgers == composition->ledgers) return std::nullopt;
    auto policy = compiler_.compile(*composition, load);
    if (!policy) return std::move(policy).error();
    active_ = composition;
    const std::lock_guard guard(mutex_);
    policy_.swap(*policy);
    return std::nullopt;
  }  // the old engine goes after the lock, unless an evaluation still holds it

  const boost::asio::any_io_executor agent_;
  PdpReport report_;  // on the agent's executor

  EmbeddedCompiler compiler_;  // by the one running job
  CompositionPtr active_;

  std::mutex mutex_;  // guards what follows; held for a pointer copy only
  std::shared_ptr<const rego::Policy> policy_;

  LatestJob job_;
};

EmbeddedPdp::EmbeddedPdp(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
                         rego::Limits limits)
    : state_(std::make_shared<State>(std::move(agent), pool, limits)) {}

EmbeddedPdp::~EmbeddedPdp() { state_->close(); }

void EmbeddedPdp::start(PdpReport report) { state_->start(std::move(report)); }

void EmbeddedPdp::activate(CompositionPtr composition, BlobLoader load) {
  state_->activate(std::move(composition), std::move(load));
}

Result<std::optional<Bytes>> EmbeddedPdp::evaluate(std::string_view path, ByteView input) {
  const auto policy = state_->policy();
  if (!policy)
    return fail(ErrorCode::kUnavailable, "no model is active yet; /health/ready tells when one is");
  return policy->evaluate(path, input);
}

}  // namespace notp
