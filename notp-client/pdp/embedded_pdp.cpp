#include "notp-client/pdp/embedded_pdp.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>

#include "common/current.hpp"
#include "notp-client/pdp/embedded_snapshot.hpp"
#include "notp-client/pdp/latest_job.hpp"

namespace notp {

namespace asio = boost::asio;

namespace {

// The engine's ticket, and whether its caller has gone. Both sides of the race may come first.
struct Ticket {
  std::mutex mutex;
  uint64_t number = 0;
  bool is_cancelled = false;
};

// The answer of an engine to one question, on the caller's executor. A caller that is cancelled
// stops its evaluation.
asio::awaitable<Result<rego::Decision>> ask(rego::Engine& engine, rego::Question question) {
  auto start = [&engine, &question](auto handler) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto ticket = std::make_shared<Ticket>();
    // Before the question: its answer may come on another thread before evaluate() returns.
    if (slot.is_connected())
      slot.assign([&engine, ticket](asio::cancellation_type) {
        const std::scoped_lock lock(ticket->mutex);
        ticket->is_cancelled = true;
        if (ticket->number != 0) engine.cancel(ticket->number);
      });
    // std::function wants to be copied; a handler cannot be.
    auto held = std::make_shared<decltype(handler)>(std::move(handler));
    const uint64_t number = engine.evaluate(
        std::move(question), [held, home = std::move(home)](Result<rego::Decision> decision) {
          asio::post(home.get_executor(), [held, decision = std::move(decision)]() mutable {
            asio::get_associated_cancellation_slot(*held).clear();
            std::move (*held)(std::move(decision));
          });
        });
    const std::scoped_lock lock(ticket->mutex);
    ticket->number = number;
    if (ticket->is_cancelled) engine.cancel(number);
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                          void(Result<rego::Decision>)>(std::move(start),
                                                                        asio::use_awaitable);
}

// Nothing is looked at, so an input that is there is taken for one.
std::vector<Result<Decision>> withheld(const ActiveSetPtr& shown, const Question& question) {
  std::vector<Result<Decision>> out;
  for (const auto& input : question.inputs)
    out.push_back(Decision{.active = shown, .has_input = input.has_value()});
  return out;
}

std::vector<Result<Decision>> decisions_of(rego::Decision&& decided) {
  const auto snapshot = std::static_pointer_cast<const EmbeddedSnapshot>(decided.snapshot);
  const ActiveSetPtr active(snapshot, &snapshot->active);
  std::vector<Result<Decision>> out;
  out.reserve(decided.evaluations.size());
  for (Result<rego::Evaluation>& one : decided.evaluations) {
    if (one)
      out.push_back(Decision{.value = std::move(one->value),
                             .active = active,
                             .extras = std::move(one->extras),
                             .time_ns = decided.time_ns,
                             .has_input = one->has_input,
                             .rule_exists = one->rule_exists});
    else
      out.push_back(std::unexpected(std::move(one).error()));
  }
  return out;
}

}  // namespace

class EmbeddedPdp::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor agent, asio::any_io_executor executor, asio::thread_pool& pool,
        EmbeddedOptions options)
      : agent_(std::move(agent)),
        builtins_(std::move(options.builtins)),
        engine_(std::move(executor), pool, std::move(options.engine),
                [this](rego::QuarantineNotice notice) { tell(std::move(notice)); }),
        job_(pool) {
    for (const auto& [path, deadline_ms] : options.deadlines_ms)
      deadlines_.emplace_back(path_segments(path), deadline_ms);
  }

  void start(PdpReport report) { report_ = std::move(report); }
  void on_quarantine(PdpQuarantineReport report) { quarantine_report_ = std::move(report); }

  void activate(CompositionPtr composition, BlobLoader load) {
    wanted_ = composition;
    shown_.set(active_set(shown_.get()->composition, wanted_.get()));
    job_.submit([this, composition = std::move(composition), load = std::move(load)] {
      auto snapshot = embedded_snapshot(composition, load, builtins_, latest_.get());
      if (!snapshot) return report({composition, std::move(snapshot).error()});
      latest_ = *snapshot;
      engine_.activate(
          *std::move(snapshot), [self = weak_from_this(), composition](const Result<void>& done) {
            const auto state = self.lock();
            const bool superseded = !done && done.error().code == ErrorCode::kCancelled;
            if (!state || superseded) return;
            PdpOutcome outcome{composition, std::nullopt};
            if (!done) outcome.rejected = done.error();
            state->report(std::move(outcome));
          });
    });
  }

  void close() {
    report_ = nullptr;
    quarantine_report_ = nullptr;
    job_.close();
    engine_.stop();
  }

  rego::Engine& engine() { return engine_; }
  ActiveSetPtr shown() const { return shown_.get(); }

  // 0: the engine's.
  int64_t deadline_ms(const std::vector<std::string>& path) const {
    size_t longest = 0;
    int64_t deadline_ms = 0;
    for (const auto& [front, own_ms] : deadlines_) {
      if (front.size() < longest || front.size() > path.size()) continue;
      if (!std::equal(front.begin(), front.end(), path.begin())) continue;
      longest = front.size();
      deadline_ms = own_ms;
    }
    return deadline_ms;
  }

 private:
  void report(PdpOutcome outcome) {
    asio::post(agent_, [self = weak_from_this(), outcome = std::move(outcome)]() mutable {
      const auto state = self.lock();
      if (!state || !state->report_) return;
      if (!outcome.rejected)
        state->shown_.set(active_set(outcome.composition, state->wanted_.get()));
      state->report_(std::move(outcome));
    });
  }

  void tell(rego::QuarantineNotice notice) {
    asio::post(agent_, [self = weak_from_this(), notice = std::move(notice)]() mutable {
      const auto state = self.lock();
      if (!state || !state->quarantine_report_) return;
      state->quarantine_report_({.ledger = std::move(notice.ledger),
                                 .path = std::move(notice.path),
                                 .reason = std::move(notice.reason),
                                 .ended = notice.for_ms == 0});
    });
  }

  const asio::any_io_executor agent_;
  const BuiltinGrants builtins_;
  std::vector<std::pair<std::vector<std::string>, int64_t>> deadlines_;  // since the constructor
  PdpReport report_;  // on the agent's executor, as the two below
  PdpQuarantineReport quarantine_report_;
  CompositionPtr wanted_;
  Current<ActiveSet> shown_{active_set(nullptr, nullptr)};

  EmbeddedSnapshotPtr latest_;  // by the one running job
  rego::Engine engine_;
  LatestJob job_;
};

EmbeddedPdp::EmbeddedPdp(asio::any_io_executor agent, asio::any_io_executor executor,
                         asio::thread_pool& pool, EmbeddedOptions options)
    : state_(std::make_shared<State>(std::move(agent), std::move(executor), pool,
                                     std::move(options))) {}

EmbeddedPdp::~EmbeddedPdp() { state_->close(); }

void EmbeddedPdp::start(PdpReport report) { state_->start(std::move(report)); }

void EmbeddedPdp::on_quarantine(PdpQuarantineReport report) {
  state_->on_quarantine(std::move(report));
}

void EmbeddedPdp::activate(CompositionPtr composition, BlobLoader load) {
  state_->activate(std::move(composition), std::move(load));
}

rego::EngineStatus EmbeddedPdp::engine_status() const { return state_->engine().status(); }

asio::awaitable<Result<std::vector<Result<Decision>>>> EmbeddedPdp::evaluate(Question question) {
  const auto state = state_;
  const ActiveSetPtr shown = state->shown();
  if (shown->withholds(question.path)) co_return withheld(shown, question);
  const int64_t deadline_ms = state->deadline_ms(question.path);
  auto decided = co_await ask(state->engine(), {.path = std::move(question.path),
                                                .inputs = std::move(question.inputs),
                                                .caller = std::move(question.caller),
                                                .deadline_ms = deadline_ms,
                                                .flags = question.flags,
                                                .form = question.form,
                                                .explain = question.explain});
  if (!decided) co_return std::unexpected(std::move(decided).error());
  co_return decisions_of(*std::move(decided));
}

}  // namespace notp
