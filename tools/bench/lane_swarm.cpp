#include "tools/bench/lane_swarm.hpp"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "notp-client/lane/table/token_table.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/pump.hpp"
#include "tools/bench/samples.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr TimeMs kConnectMs = 60'000;
constexpr size_t kDialsMax = 32;  // at once
constexpr int kDialsAgain = 20, kPauseMs = 250;
constexpr size_t kStatementsKept = 256;  // sessions are at most so many statements apart

struct Session {
  std::unique_ptr<transport::Connection> connection;
  std::unique_ptr<session::ClientSession> session;
  std::unique_ptr<transport::Wake> wake;
  uint64_t head = 0;
  bool has_all = false;
};

// A statement that some session has had.
struct KnownStatement {
  Bytes signature;
  std::vector<LaneTime> due;
  double applying_ms = 0;
  // The lane's revision with it; nullopt: rows of a snapshot before its last ones.
  std::optional<uint64_t> to;
};

}  // namespace

class LaneSwarm::State {
 public:
  explicit State(SwarmPlan plan) : plan_(std::move(plan)), sessions_(plan_.sessions) {
    thread_ = std::thread([this] { io_.run(); });
    for (size_t i = 0; i < std::min(kDialsMax, plan_.sessions); ++i)
      asio::co_spawn(io_, dial_in_turn(), asio::detached);
  }
  ~State() {
    asio::post(io_, [this] {
      is_ending_ = true;
      for (Session& session : sessions_)
        if (session.connection) session.connection->abort();
      work_.reset();
    });
    thread_.join();
  }

  Result<void> await_all_connected(TimeMs patience_ms) {
    std::unique_lock lock(mutex_);
    const auto done = [this] { return failure_ || with_all_ == plan_.sessions; };
    changed_.wait_for(lock, std::chrono::milliseconds(patience_ms), done);
    if (failure_) return std::unexpected(*failure_);
    if (with_all_ == plan_.sessions) return {};
    return fail(ErrorCode::kTimeout,
                fmt::format("{} of {} sessions have what the lane has", with_all_, plan_.sessions));
  }
  void expect(const feed::TokenId& id, LaneTime due) {
    const std::lock_guard lock(mutex_);
    expected_[id] = due;
    waiting_ += plan_.sessions;
  }
  Result<Figures> take(TimeMs patience_ms) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                      [this] { return failure_ || waiting_ == 0; });
    if (failure_) return std::unexpected(*failure_);
    if (waiting_ > 0)
      return fail(ErrorCode::kTimeout,
                  fmt::format("{} events have not reached their sessions", waiting_));
    if (figures_.batches > 0) figures_.applying_ms /= static_cast<double>(figures_.batches);
    return std::exchange(figures_, {});
  }

 private:
  asio::awaitable<void> dial_in_turn() {
    while (next_ < sessions_.size() && !is_ending_) {
      const size_t number = next_++;
      auto connection = co_await dial(number);
      // As an agent does: a busy registry turns some away.
      for (int again = 0; !connection && again < kDialsAgain && !is_ending_; ++again) {
        asio::steady_timer pause(io_, std::chrono::milliseconds(kPauseMs));
        co_await pause.async_wait(asio::use_awaitable);
        connection = co_await dial(number);
      }
      if (!connection) {
        failed(connection.error());
        co_return;
      }
      if (is_ending_) co_return;
      sessions_[number].connection = *std::move(connection);
      asio::co_spawn(io_, run(number), asio::detached);
    }
  }
  asio::awaitable<Result<std::unique_ptr<transport::Connection>>> dial(size_t number) {
    co_return co_await transport::connect(fmt::format("127.0.0.1:{}", plan_.registry),
                                          plan_.identities[number % plan_.identities.size()],
                                          kConnectMs);
  }
  asio::awaitable<void> run(size_t number) {
    Session& one = sessions_[number];
    wire::Hello hello;
    hello.versions = {wire::kProtocolVersion};
    hello.user_agent = "notp-bench/" NOTP_VERSION;
    one.wake = std::make_unique<transport::Wake>();
    one.session = std::make_unique<session::ClientSession>(
        std::move(hello), std::vector<session::PartialArtifact>{}, read_clock());
    const std::function<void()> after_event = [this, &one] { on_events(one); };
    const auto ended =
        co_await transport::pump(*one.connection, *one.session, *one.wake, after_event);
    if (is_ending_) co_return;
    failed(ended ? Error{ErrorCode::kUnavailable, "the registry ended a session", {}}
                 : ended.error());
  }
  void on_events(Session& one) {
    for (session::ClientEvent& event : one.session->take_events()) {
      if (std::holds_alternative<session::client_event::Welcomed>(event))
        one.session->lane_subscribe({.lane = plan_.lane});
      else if (const auto* state = std::get_if<session::client_event::LaneStateArrived>(&event))
        on_state(one, state->state);
      else if (const auto* came = std::get_if<session::client_event::LaneStatementArrived>(&event))
        on_statement(one, came->statement);
      else if (const auto* end = std::get_if<session::client_event::Closed>(&event); end)
        failed(end->error);
    }
  }
  void on_state(Session& one, const wire::LaneState& state) {
    if (state.code != 0)
      failed({ErrorCode::kUnavailable, "the registry refuses the lane: " + state.message, {}});
    one.head = state.head;
  }
  void on_statement(Session& one, const feed::SealedStatement& sealed) {
    const auto now = steady_clock::now();
    const KnownStatement* known = find(sealed.signature);
    if (!known) {
      auto learned = learn(sealed);
      if (!learned) return failed(learned.error());
      known = *learned;
    }
    const std::lock_guard lock(mutex_);
    for (const LaneTime due : known->due) {
      figures_.received.add(ms_between(due, now));
      figures_.applied.add(ms_between(due, now) + known->applying_ms);
    }
    waiting_ -= known->due.size();
    if (!one.has_all && known->to && *known->to >= one.head) {
      one.has_all = true;
      ++with_all_;
    }
    if (waiting_ == 0 || with_all_ == plan_.sessions) changed_.notify_all();
  }
  const KnownStatement* find(ByteView signature) const {
    // Newest first: that is the one that most sessions get now.
    for (auto it = known_.rbegin(); it != known_.rend(); ++it)
      if (it->signature == signature) return &*it;
    return nullptr;
  }
  Result<const KnownStatement*> learn(const feed::SealedStatement& sealed) {
    const Stopwatch watch;
    KnownStatement known{.signature = sealed.signature};
    NOTP_ASSIGN(const Bytes body, feed::open(sealed, plan_.lane_key));
    if (sealed.type == feed::StatementType::kSnapshot) {
      NOTP_ASSIGN(const feed::Snapshot snapshot, feed::Snapshot::decode(body));
      if (!snapshot.last) known.to = snapshot.as_of;
      keep(std::move(known));
      return &known_.back();
    }
    NOTP_ASSIGN(const feed::Batch batch, feed::Batch::decode(body));
    table_.apply(batch.events);
    known.to = batch.to;
    known.applying_ms = watch.ms();
    const std::lock_guard lock(mutex_);
    for (const feed::Event& event : batch.events)
      if (const auto found = expected_.find(event.id); found != expected_.end()) {
        known.due.push_back(found->second);
        expected_.erase(found);
      }
    if (!known.due.empty()) {
      ++figures_.batches;
      figures_.events += known.due.size();
      figures_.bytes += sealed.body.size() + sealed.signature.size();
      figures_.applying_ms += known.applying_ms;
    }
    keep(std::move(known));
    return &known_.back();
  }
  void keep(KnownStatement known) {
    known_.push_back(std::move(known));
    if (known_.size() > kStatementsKept) known_.pop_front();
  }
  void failed(const Error& error) {
    if (is_ending_) return;
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = error;
    changed_.notify_all();
  }

  const SwarmPlan plan_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  // --- of the thread
  std::vector<Session> sessions_;
  size_t next_ = 0;
  bool is_ending_ = false;
  std::deque<KnownStatement> known_;
  lane::TokenTable table_;
  // --- guarded
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<feed::TokenId, LaneTime, feed::HashOfTokenId> expected_;
  uint64_t waiting_ = 0;  // events, one for each session that has not had it
  size_t with_all_ = 0;
  Figures figures_;
  std::optional<Error> failure_;
  std::thread thread_;
};

LaneSwarm::LaneSwarm(std::unique_ptr<State> state) : state_(std::move(state)) {}
LaneSwarm::~LaneSwarm() = default;

Result<std::unique_ptr<LaneSwarm>> LaneSwarm::start(SwarmPlan plan, TimeMs patience_ms) {
  std::unique_ptr<LaneSwarm> swarm(new LaneSwarm(std::make_unique<State>(std::move(plan))));
  NOTP_TRY(swarm->state_->await_all_connected(patience_ms));
  return swarm;
}

void LaneSwarm::expect(const feed::TokenId& id, LaneTime due) { state_->expect(id, due); }

Result<LaneSwarm::Figures> LaneSwarm::take(TimeMs patience_ms) { return state_->take(patience_ms); }

}  // namespace notp::bench
