#include "notp-client/pdp/embedded_pdp.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <mutex>

#include "notp-client/pdp/denied.hpp"
#include "notp-client/pdp/embedded_compile.hpp"
#include "notp-client/pdp/latest_job.hpp"

namespace notp {

class EmbeddedPdp::State : public std::enable_shared_from_this<State> {
 public:
  State(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool, rego::Limits limits)
      : agent_(std::move(agent)), compiler_(limits), job_(pool) {}

  void start(PdpReport report) { report_ = std::move(report); }

  void activate(CompositionPtr composition, BlobLoader load) {
    denial_.wanted(composition);
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

  std::shared_ptr<const rego::Policy> policy() const {
    const std::lock_guard guard(mutex_);
    return policy_;
  }

  bool withholds(std::string_view path) const { return denial_.withholds(path); }

 private:
  std::optional<Error> compile(const CompositionPtr& composition, const BlobLoader& load) {
    auto next = policy_of(*composition, load);
    if (!next) return std::move(next).error();
    active_ = composition;
    swap_in(*std::move(next));
    denial_.decides_with(composition);
    return std::nullopt;
  }

  // Going back to what is active, and being told of its standing, needs no second compilation.
  Result<std::shared_ptr<const rego::Policy>> policy_of(const Composition& next,
                                                        const BlobLoader& load) {
    if (!active_ || !same_code(*active_, next)) return compiler_.compile(next, load);
    if (active_->system_document() == next.system_document()) return policy();
    if (auto told = compiler_.retell(*policy(), next)) return told;
    return compiler_.compile(next, load);
  }

  // The old engine goes after the lock, unless an evaluation still holds it.
  void swap_in(std::shared_ptr<const rego::Policy> next) {
    const std::lock_guard guard(mutex_);
    policy_.swap(next);
  }

  static bool same_code(const Composition& a, const Composition& b) {
    return std::ranges::equal(a.ledgers, b.ledgers, [](const auto& x, const auto& y) {
      return x.first == y.first && x.second.release == y.second.release &&
             x.second.standing.denies() == y.second.standing.denies();
    });
  }

  const boost::asio::any_io_executor agent_;
  PdpReport report_;  // on the agent's executor

  EmbeddedCompiler compiler_;  // by the one running job
  CompositionPtr active_;

  DenialGuard denial_;
  mutable std::mutex mutex_;  // guards what follows; held for a pointer copy only
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
  if (state_->withholds(path)) return std::nullopt;
  return policy->evaluate(path, input);
}

}  // namespace notp
