#include "notp-client/lane/host/lane_host.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

namespace asio = boost::asio;

namespace {

// Calls a handler on its executor, once.
template <typename Handler>
class Waiting {
 public:
  explicit Waiting(Handler handler)
      : home_(asio::make_work_guard(asio::get_associated_executor(handler))),
        handler_(std::move(handler)) {}

  template <typename... Values>
  static void finish(const std::shared_ptr<Waiting>& self, Values... values) {
    asio::post(self->home_.get_executor(), [self, ... values = std::move(values)]() mutable {
      self->home_.reset();
      Handler handler = std::move(self->handler_);
      std::move(handler)(std::move(values)...);
    });
  }

 private:
  asio::executor_work_guard<asio::associated_executor_t<Handler>> home_;
  Handler handler_;
};

}  // namespace

LaneHost::LaneHost(LaneOptions options, LaneHostParts parts)
    : options_(std::move(options)),
      agent_(
          std::make_shared<AgentSide>(std::move(parts.agent), parts.sink, std::move(parts.alarm))),
      store_(std::move(parts.store)),
      worker_(std::make_unique<LaneWorker>(
          options_, LaneWorker::Parts{.executor = thread_.get_executor(),
                                      .agent = agent_,
                                      .on_status = std::move(parts.on_status),
                                      .table = {.with_events = parts.with_events}})) {}

LaneHost::~LaneHost() { stop(); }

template <typename Work>
void LaneHost::post(Work work) {
  if (is_running_) asio::post(thread_, std::move(work));
}

// What is posted before the worker's stop() runs, and is answered there; nothing is posted later,
// because it would never run.
template <typename Work>
bool LaneHost::post_question(Work work) {
  const MutexLock lock(mutex_);
  if (!has_ended_) asio::post(thread_, std::move(work));
  return !has_ended_;
}

Result<void> LaneHost::start(const std::optional<PublicKey>& lane_key, TimeMs trusted_ms) {
  const auto load = [&] {
    return store_->load([&](std::span<const feed::Event> events) { worker_->load(events); });
  };
  if (auto loaded = load(); !loaded) {
    if (loaded.error().code != ErrorCode::kCorrupt) return loaded;
    worker_->forget_all();
    NOTP_TRY(store_->set_aside(loaded.error()));
  }
  if (const auto& damage = store_->damage()) agent_->raise(*damage);
  LaneMarks marks = store_->marks();
  marks.trusted_ms = std::max(marks.trusted_ms, trusted_ms);
  is_running_ = true;
  agent_->start({.decided =
                     [this](uint64_t number, Result<void> outcome) {
                       post([this, number, outcome = std::move(outcome)] {
                         worker_->on_decided(number, outcome);
                       });
                     },
                 .lost = [this] { post([this] { worker_->on_tokens_lost(); }); }});
  post([this, marks, lane_key, store = std::move(store_)]() mutable {
    worker_->start(marks, std::move(store), lane_key);
  });
  return {};
}

void LaneHost::stop() {
  if (!std::exchange(is_running_, false)) return;
  agent_->stop();
  {
    const MutexLock lock(mutex_);
    has_ended_ = true;
    asio::post(thread_, [this] { worker_->stop(); });
  }
  thread_.join();
}

void LaneHost::session_begins(session::ClientSession& session, std::function<void()> wake) {
  agent_->session_begins(session, std::move(wake));
}

void LaneHost::session_ended() {
  agent_->session_ended();
  post([this] { worker_->on_disconnected(); });
}

void LaneHost::on_connected() {
  post([this] { worker_->on_connected(); });
}

void LaneHost::on_state(wire::LaneState state) {
  post([this, state = std::move(state)] { worker_->on_state(state); });
}

void LaneHost::on_statement(feed::SealedStatement statement) {
  // What is dropped here is missing in the history, and wanted again.
  const size_t bytes = statement.body.size() + sizeof statement;
  if (queued_bytes_ + bytes > limits::kLaneQueuedBytesMax) return;
  queued_bytes_ += bytes;
  post([this, bytes, statement = std::move(statement)] {
    queued_bytes_ -= bytes;
    worker_->on_statement(statement);
  });
}

void LaneHost::on_root(std::optional<PublicKey> lane_key) {
  post([this, lane_key] { worker_->on_root(lane_key); });
}

void LaneHost::on_clock_set_back(TimeMs trusted_ms) {
  post([this, trusted_ms] { worker_->on_clock_set_back(trusted_ms); });
}

void LaneHost::clock_set() {
  post([this] { worker_->look_at_clock(); });
}

asio::awaitable<void> LaneHost::resolve(std::vector<feed::TokenId> ids, std::string caller,
                                        std::chrono::milliseconds wait) {
  if (ids.empty() || !status()->is_connected) co_return;
  auto start = [this, wait](auto handler, std::vector<feed::TokenId> asked, std::string by) {
    auto waiting = std::make_shared<Waiting<decltype(handler)>>(std::move(handler));
    using Kept = typename decltype(waiting)::element_type;
    const bool is_asked =
        post_question([this, wait, waiting, asked = std::move(asked), by = std::move(by)] {
          // On the lane's thread alone.
          const auto left = std::make_shared<size_t>(asked.size());
          for (const feed::TokenId& id : asked)
            worker_->ask(id, by, wait, [waiting, left](AskOutcome) {
              if (--*left == 0) Kept::finish(waiting);
            });
        });
    if (!is_asked) Kept::finish(waiting);
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      std::move(start), asio::use_awaitable, std::move(ids), std::move(caller));
}

asio::awaitable<std::vector<TokenVerdict>> LaneHost::judge(std::vector<TokenQuestion> questions,
                                                           std::string caller,
                                                           std::chrono::milliseconds wait) {
  if (options_.mode == LaneMode::kAsk) {
    std::vector<feed::TokenId> ids;
    for (const TokenQuestion& question : questions)
      if (question.token) ids.push_back(*question.token);
    co_await resolve(std::move(ids), std::move(caller), wait);
  }
  auto start = [this](auto handler, std::vector<TokenQuestion> asked) {
    auto waiting = std::make_shared<Waiting<decltype(handler)>>(std::move(handler));
    using Kept = typename decltype(waiting)::element_type;
    const size_t count = asked.size();
    const bool is_asked = post_question([this, waiting, asked = std::move(asked)] {
      std::vector<TokenVerdict> verdicts;
      verdicts.reserve(asked.size());
      for (const TokenQuestion& question : asked) verdicts.push_back(worker_->judge(question));
      Kept::finish(waiting, std::move(verdicts));
    });
    if (!is_asked) Kept::finish(waiting, std::vector<TokenVerdict>(count));  // kStale
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                          void(std::vector<TokenVerdict>)>(
      std::move(start), asio::use_awaitable, std::move(questions));
}

}  // namespace notp::lane
