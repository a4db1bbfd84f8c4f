#include "tools/bench/swarm.hpp"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cmath>
#include <thread>
#include <vector>

#include "common/host_port.hpp"
#include "common/spawn.hpp"
#include "notp-server/app/descriptors.hpp"
#include "tools/bench/swarm_session.hpp"

namespace notp::bench {
namespace {

namespace asio = boost::asio;

// Descriptors of a thread's io_context, and of everything else.
constexpr size_t kDescriptorsOfThread = 4, kDescriptorsKept = 64;

Result<void> raise_descriptors(const AgentSwarmPlan& plan) {
  const size_t others = plan.threads * kDescriptorsOfThread + kDescriptorsKept;
  NOTP_ASSIGN(const size_t allowed, server::raise_descriptor_limit());
  if (allowed >= plan.sessions + others) return {};
  return fail(ErrorCode::kLimit,
              fmt::format("{} sessions need {} descriptors, and this process may open {}: raise "
                          "the hard limit (ulimit -Hn), or ask for at most {} sessions",
                          plan.sessions, plan.sessions + others, allowed,
                          allowed - std::min(allowed, others)));
}

Result<asio::ip::tcp::endpoint> endpoint_of(const std::string& registry) {
  NOTP_ASSIGN(const HostPort at, HostPort::parse(registry));
  boost::system::error_code error;
  const auto address = asio::ip::make_address(at.host, error);
  if (error)
    return fail(ErrorCode::kConfig, fmt::format("'{}' is not a numeric address", registry));
  return asio::ip::tcp::endpoint(address, at.port);
}

Result<void> check(const AgentSwarmPlan& plan) {
  const auto is_share = [](double share) { return share >= 0 && share <= 1; };
  if (plan.sessions == 0 || plan.sessions > kSwarmSessionsMax || plan.threads == 0 ||
      plan.threads > kSwarmThreadsMax || !plan.identities || plan.per_address == 0 ||
      !is_share(plan.mute) || !is_share(plan.slow) || plan.mute + plan.slow > 1)
    return fail(ErrorCode::kConfig,
                fmt::format("a swarm has 1 to {} sessions on 1 to {} threads, and shares that add "
                            "up to at most 1",
                            kSwarmSessionsMax, kSwarmThreadsMax));
  return {};
}

ByRole roles_of(const AgentSwarmPlan& plan) {
  ByRole out;
  for (size_t number = 0; number < plan.sessions; ++number)
    ++out[role_of(number, plan.mute, plan.slow)];
  return out;
}

// One thread with its share of the sessions.
class SwarmThread {
 public:
  SwarmThread(const AgentSwarmPlan& plan, const asio::ip::tcp::endpoint& registry,
              SwarmReleases& releases, SwarmStatements& statements, SwarmTally& tally, size_t index)
      : random_(plan.seed + index),
        first_dials_(plan.dials_max == 0 ? plan.sessions
                                         : std::max<size_t>(plan.dials_max / plan.threads, 1)),
        context_{plan, registry, releases,     statements, tally,
                 io_,  random_,  first_dials_, is_ending_} {
    for (size_t number = index; number < plan.sessions; number += plan.threads)
      sessions_.push_back(std::make_unique<SwarmSession>(context_, number));
    for (const auto& session : sessions_) spawn(io_.get_executor(), session->live());
    thread_ = std::thread([this] { io_.run(); });
  }
  ~SwarmThread() {
    asio::post(io_, [this] {
      is_ending_ = true;
      for (const auto& session : sessions_) session->end();
      work_.reset();
    });
    thread_.join();
  }
  void commit_now() {
    asio::post(io_, [this] {
      for (const auto& session : sessions_) session->commit_now();
    });
  }
  SwarmThread(const SwarmThread&) = delete;
  SwarmThread& operator=(const SwarmThread&) = delete;

 private:
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  bool is_ending_ = false;
  SeededRandom random_;
  FirstDials first_dials_;
  const SwarmContext context_;
  std::vector<std::unique_ptr<SwarmSession>> sessions_;
  std::thread thread_;
};

}  // namespace

SwarmRole role_of(size_t number, double mute, double slow) {
  // How many of the first `count` have a share.
  const auto of = [](size_t count, double share) {
    return static_cast<size_t>(std::floor(static_cast<double>(count) * share + 1e-9));
  };
  if (of(number + 1, slow) > of(number, slow)) return SwarmRole::kSlow;
  // The mute ones are a share of the rest.
  const size_t rest = number - of(number, slow);
  const double share = slow < 1 ? mute / (1 - slow) : 0;
  return of(rest + 1, share) > of(rest, share) ? SwarmRole::kMute : SwarmRole::kAgent;
}

class AgentSwarm::State {
 public:
  State(AgentSwarmPlan plan, const asio::ip::tcp::endpoint& registry,
        std::unique_ptr<SwarmReleases> releases)
      : plan_(std::move(plan)), releases_(std::move(releases)), tally_(roles_of(plan_)) {
    for (size_t index = 0; index < plan_.threads; ++index)
      threads_.push_back(
          std::make_unique<SwarmThread>(plan_, registry, *releases_, statements_, tally_, index));
  }
  void commit_now() {
    for (const auto& thread : threads_) thread->commit_now();
  }
  SwarmTally& tally() { return tally_; }
  const SwarmReleases& releases() const { return *releases_; }

 private:
  const AgentSwarmPlan plan_;
  const std::unique_ptr<SwarmReleases> releases_;
  SwarmStatements statements_;
  SwarmTally tally_;
  std::vector<std::unique_ptr<SwarmThread>> threads_;
};

AgentSwarm::AgentSwarm(std::unique_ptr<State> state) : state_(std::move(state)) {}
AgentSwarm::~AgentSwarm() = default;

Result<std::unique_ptr<AgentSwarm>> AgentSwarm::start(AgentSwarmPlan plan) {
  NOTP_TRY(check(plan));
  NOTP_TRY(raise_descriptors(plan));
  NOTP_ASSIGN(const asio::ip::tcp::endpoint registry, endpoint_of(plan.registry));
  NOTP_ASSIGN(auto releases,
              SwarmReleases::open(plan.root, plan.identities->trust_domain(), plan.ledger));
  return std::unique_ptr<AgentSwarm>(
      new AgentSwarm(std::make_unique<State>(std::move(plan), registry, std::move(releases))));
}

void AgentSwarm::commit_now() { state_->commit_now(); }
SwarmTally& AgentSwarm::tally() { return state_->tally(); }
const SwarmTally& AgentSwarm::tally() const { return state_->tally(); }
uint64_t AgentSwarm::distinct_artifacts() const { return state_->releases().distinct_artifacts(); }

}  // namespace notp::bench
