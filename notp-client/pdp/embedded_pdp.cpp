#include "notp-client/pdp/embedded_pdp.hpp"

#include <atomic>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "notp-client/lane/table/token_table.hpp"
#include "notp-client/pdp/coalescing_job.hpp"
#include "notp-client/pdp/embedded_snapshot.hpp"

namespace notp::pdp {

namespace asio = boost::asio;

namespace {

// Holds the engine's ticket of a question, or the fact that its caller has gone: whichever comes
// second stops the evaluation.
class Ticket {
 public:
  explicit Ticket(rego::Engine& engine) : engine_(engine) {}

  void assign(uint64_t number) {
    uint64_t before = kNone;
    if (!state_.compare_exchange_strong(before, number)) engine_.cancel(number);
  }
  void cancel() {
    const uint64_t before = state_.exchange(kGone);
    if (before != kNone && before != kGone) engine_.cancel(before);
  }

 private:
  static constexpr uint64_t kNone = 0, kGone = UINT64_MAX;  // no ticket has these numbers

  rego::Engine& engine_;
  std::atomic<uint64_t> state_ = kNone;
};

// Returns the engine's answer to one question, on the caller's executor. Cancelling the caller
// stops the evaluation.
asio::awaitable<Result<rego::Decision>> ask(rego::Engine& engine, rego::Question question) {
  auto start = [&engine, &question](auto handler) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto ticket = std::make_shared<Ticket>(engine);
    // Set before the question is asked: its answer may arrive on another thread before evaluate()
    // returns.
    if (slot.is_connected()) slot.assign([ticket](asio::cancellation_type) { ticket->cancel(); });
    // std::function requires a copyable target, and a handler cannot be copied.
    auto held = std::make_shared<decltype(handler)>(std::move(handler));
    const uint64_t number = engine.evaluate(
        std::move(question), [held, home = std::move(home)](Result<rego::Decision> decision) {
          asio::post(home.get_executor(), [held, decision = std::move(decision)]() mutable {
            asio::get_associated_cancellation_slot(*held).clear();
            std::move (*held)(std::move(decision));
          });
        });
    ticket->assign(number);
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                          void(Result<rego::Decision>)>(std::move(start),
                                                                        asio::use_awaitable);
}

// `unknown` null: the engine was not asked for unknown keys.
std::vector<Result<Decision>> decisions_of(rego::Decision&& decided, UnknownKeyQueue* unknown) {
  const auto snapshot = std::static_pointer_cast<const EmbeddedSnapshot>(decided.snapshot);
  const ActiveSetPtr& active = snapshot->active;
  std::vector<Result<Decision>> out;
  out.reserve(decided.evaluations.size());
  for (Result<rego::Evaluation>& one : decided.evaluations) {
    if (one && unknown)
      if (auto keys = take_unknown_keys(one->extras); !keys.empty()) unknown->add(std::move(keys));
    if (one)
      out.push_back(Decision{.value = std::move(one->value),
                             .active = active,
                             .extras = std::move(one->extras),
                             .time_ns = decided.time_ns,
                             .evaluation_ns = decided.evaluation_ns,
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
  void on_unknown_keys(UnknownKeyReport report) {
    unknown_keys_ = std::make_shared<UnknownKeyQueue>(agent_, std::move(report));
  }
  UnknownKeyQueue* unknown_keys() const { return unknown_keys_.get(); }

  void activate(ActiveSetPtr wanted, model::BlobLoader load) {
    basis_.want(wanted);
    job_.submit([this, wanted = std::move(wanted), load = std::move(load)] {
      auto snapshot = embedded_snapshot(wanted, load, builtins_, latest_.get());
      if (!snapshot) return report({wanted, std::move(snapshot).error()});
      latest_ = *snapshot;
      engine_.activate(
          *std::move(snapshot), [self = weak_from_this(), wanted](const Result<void>& done) {
            const auto state = self.lock();
            const bool superseded = !done && done.error().code == ErrorCode::kCancelled;
            if (!state || superseded) return;
            PdpOutcome outcome{wanted, std::nullopt};
            if (!done) outcome.rejected = done.error();
            state->report(std::move(outcome));
          });
    });
  }

  void apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> done) {
    engine_.feed_tokens(std::move(update.feed),
                        [agent = agent_, done = std::move(done)](const Result<void>& outcome) {
                          asio::post(agent, [done, outcome] { done(outcome); });
                        });
  }

  void close() {
    report_ = nullptr;
    quarantine_report_ = nullptr;
    if (unknown_keys_) unknown_keys_->close();
    job_.close();
    engine_.stop();
  }

  rego::Engine& engine() { return engine_; }
  DecisionBasisPtr basis() const { return basis_.get(); }

  // 0: the engine's deadline.
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
      if (!outcome.rejected) state->basis_.confirm(outcome.active_set);
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
  const model::BuiltinGrants builtins_;
  std::vector<std::pair<std::vector<std::string>, int64_t>> deadlines_;  // since the constructor
  PdpReport report_;  // on the agent's executor, as are the two below
  PdpQuarantineReport quarantine_report_;
  CurrentBasis basis_;
  std::shared_ptr<UnknownKeyQueue> unknown_keys_;  // since before start(); null: nobody wants them

  EmbeddedSnapshotPtr latest_;  // used by the one running job
  rego::Engine engine_;
  CoalescingJob job_;
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

void EmbeddedPdp::on_unknown_keys(UnknownKeyReport report) {
  state_->on_unknown_keys(std::move(report));
}

void EmbeddedPdp::apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> done) {
  state_->apply_tokens(std::move(update), std::move(done));
}

void EmbeddedPdp::activate(ActiveSetPtr wanted, model::BlobLoader load) {
  state_->activate(std::move(wanted), std::move(load));
}

DecisionBasisPtr EmbeddedPdp::basis() const { return state_->basis(); }

rego::EngineStatus EmbeddedPdp::engine_status() const { return state_->engine().status(); }

asio::awaitable<Decisions> EmbeddedPdp::evaluate(Question question) {
  const auto state = state_;
  const int64_t deadline_ms = state->deadline_ms(question.path);
  UnknownKeyQueue* const unknown = state->unknown_keys();
  if (unknown) question.flags |= rego::kUnknownKeys;
  auto decided = co_await ask(state->engine(), {.path = std::move(question.path),
                                                .inputs = std::move(question.inputs),
                                                .caller = std::move(question.caller),
                                                .deadline_ms = deadline_ms,
                                                .flags = question.flags,
                                                .form = question.form,
                                                .explain = question.explain,
                                                .log_event = std::move(question.log_event),
                                                .presented = std::move(question.presented)});
  if (!decided) co_return std::unexpected(std::move(decided).error());
  co_return decisions_of(*std::move(decided), unknown);
}

}  // namespace notp::pdp
