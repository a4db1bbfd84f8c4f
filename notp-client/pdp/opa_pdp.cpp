#include "notp-client/pdp/opa_pdp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <charconv>

#include "common/http/client.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/spawn.hpp"
#include "notp-client/pdp/authz_module.hpp"
#include "notp-client/pdp/coalescing_job.hpp"
#include "notp-client/pdp/opa_feed.hpp"
#include "notp-client/pdp/opa_question.hpp"
#include "notp-client/pdp/opa_token_link.hpp"

namespace notp::pdp {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kHeldMax = 64;
constexpr std::string_view kTokensRoot = "tokens";  // what is there is not for PEPs

// Parses "modes=snapshot,delta;wait=60" and returns a hold time slightly below OPA's wait.
milliseconds hold_time(std::string_view prefer) {
  const size_t at = prefer.find("wait=");
  if (at == std::string_view::npos) return milliseconds(0);
  const std::string_view number = prefer.substr(at + 5);
  int64_t seconds = 0;
  std::from_chars(number.data(), number.data() + number.size(), seconds);
  const int64_t wait_ms = std::clamp<int64_t>(seconds, 0, limits::kLongPollMaxMs / 1000) * 1000;
  return milliseconds(wait_ms - std::min<int64_t>(1000, wait_ms / 10));
}

}  // namespace

class OpaPdp::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor agent, asio::thread_pool& pool, rego::ModelChecker& engine,
        OpaOptions options)
      : options_(std::move(options)),
        agent_(std::move(agent)),
        engine_(engine),
        poll_(agent_),
        job_(pool) {
    lane_.token_inputs = options_.hidden_inputs;
    if (!options_.tokens) return;
    tokens_ = std::make_shared<OpaTokenLink>(agent_, options_.url, *options_.tokens);
    lane_.authz = authz_module(options_.tokens->secret);
    lane_.token_inputs.insert(lane_.token_inputs.end(), options_.tokens->inputs.begin(),
                              options_.tokens->inputs.end());
    lane_.tokens_proof = tokens_->proof();
  }

  const OpaOptions options_;

  void start(PdpReport report) {
    report_ = std::move(report);
    if (!options_.url.empty()) spawn(agent_, poll_status(shared_from_this()));
    if (tokens_ && !options_.url.empty()) tokens_->start();
  }

  void activate(ActiveSetPtr wanted, model::BlobLoader load) {
    basis_.want(wanted);
    if (options_.on_offered) options_.on_offered(wanted);
    open_ = wanted;
    poll_.cancel();
    job_.submit([this, wanted = std::move(wanted), load = std::move(load)] {
      auto bundle = build_opa_bundle(wanted, load, engine_, lane_);
      asio::post(agent_, [self = shared_from_this(), wanted, bundle = std::move(bundle)]() mutable {
        self->on_built(std::move(wanted), std::move(bundle));
      });
    });
  }

  void close() {
    report_ = nullptr;
    closed_ = true;
    poll_.cancel();
    if (tokens_) tokens_->close();
    wake();
    job_.close();
  }

  // Runs on the agent's executor. It starts there later than it is called, so it holds `self`.
  static asio::awaitable<http::Response> hold(std::shared_ptr<State> self, std::string instance,
                                              std::string if_none_match, milliseconds time) {
    const auto deadline = steady_clock::now() + time;
    OpaFeed::Answer answer = self->feed_.on_request(instance, if_none_match);
    while (!answer.bundle && !answer.at_once && !self->closed_ && steady_clock::now() < deadline &&
           self->held_.size() < kHeldMax) {
      asio::steady_timer timer(self->agent_, deadline);
      self->held_.insert(&timer);
      co_await timer.async_wait(kAwait);
      self->held_.erase(&timer);
      if ((co_await asio::this_coro::cancellation_state).cancelled() !=
          asio::cancellation_type::none)
        break;
      answer = self->feed_.on_request(instance, if_none_match);
    }
    http::Response response;
    if (answer.bundle) {
      response.content_type = "application/vnd.openpolicyagent.bundles";
      response.shared_body = answer.bundle->body;
      response.headers.emplace_back("ETag", answer.bundle->etag);
      log::debug("opa_bundle_served",
                 {{"instance", instance}, {"revision", answer.bundle->revision}});
    } else {
      response.status = 304;
      if (!answer.held_etag.empty()) response.headers.emplace_back("ETag", answer.held_etag);
    }
    co_return response;
  }

  void on_status(const std::string& instance, const json::value& status) {
    for (PdpOutcome& outcome : feed_.on_status(instance, status)) tell(std::move(outcome));
    if (tokens_) tokens_->on_status();
  }

  asio::any_io_executor agent() const { return agent_; }
  OpaTokenLink* tokens() const { return tokens_.get(); }
  const http::Client& client() const { return client_; }
  // Without a URL no question can be asked here, and every answer says so.
  DecisionBasisPtr basis() const {
    static const auto kNone = std::make_shared<const DecisionBasis>();
    return options_.url.empty() ? kNone : basis_.get();
  }

 private:
  void on_built(ActiveSetPtr wanted, Result<OpaBundlePtr> bundle) {
    if (!bundle) return tell({std::move(wanted), std::move(bundle).error()});
    if (auto outcome = feed_.offer(*std::move(bundle))) tell(*std::move(outcome));
    wake();
  }

  void tell(PdpOutcome outcome) {
    if (open_ == outcome.active_set) open_ = nullptr;
    if (!outcome.rejected) basis_.confirm(outcome.active_set);
    if (outcome.rejected) wake();  // waiting requests get the last good one
    if (report_) report_(std::move(outcome));
  }

  void wake() {
    for (asio::steady_timer* timer : held_) timer->cancel();
  }

  static asio::awaitable<void> poll_status(std::shared_ptr<State> self) {
    while (!self->closed_) {
      // Without a pending outcome no poll is needed: a restarted OPA connects on its own.
      if (self->open_)
        self->poll_.expires_after(milliseconds(self->options_.status_poll_ms));
      else
        self->poll_.expires_at(steady_clock::time_point::max());
      co_await self->poll_.async_wait(kAwait);
      if (self->closed_ || !self->open_) continue;
      const auto answer = co_await self->client_.call(
          {.url = self->options_.url + "/v1/status", .deadline_ms = self->options_.status_poll_ms});
      if (self->closed_ || !answer || answer->status != 200) continue;
      const auto body = parse_json(answer->body);
      const json::object* top = body ? body->if_object() : nullptr;
      const json::value* result = top ? top->if_contains("result") : nullptr;
      if (result != nullptr) self->on_status(self->feed_.instance_by_label(*result), *result);
    }
  }

  const asio::any_io_executor agent_;
  rego::ModelChecker& engine_;
  const http::Client client_;
  CurrentBasis basis_;
  BundleLane lane_;
  std::shared_ptr<OpaTokenLink> tokens_;  // null: the node has no lane

  // Used on the agent's executor.
  PdpReport report_;
  OpaFeed feed_;
  ActiveSetPtr open_;  // activated, without an outcome yet
  std::set<asio::steady_timer*> held_;
  asio::steady_timer poll_;
  bool closed_ = false;

  CoalescingJob job_;
};

OpaPdp::OpaPdp(asio::any_io_executor agent, asio::thread_pool& pool, rego::ModelChecker& engine,
               OpaOptions options)
    : state_(std::make_shared<State>(std::move(agent), pool, engine, std::move(options))) {}

OpaPdp::~OpaPdp() { state_->close(); }

void OpaPdp::start(PdpReport report) { state_->start(std::move(report)); }

void OpaPdp::activate(ActiveSetPtr wanted, model::BlobLoader load) {
  state_->activate(std::move(wanted), std::move(load));
}

DecisionBasisPtr OpaPdp::basis() const { return state_->basis(); }

void OpaPdp::apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> done) {
  if (state_->tokens()) return state_->tokens()->apply(std::move(update), std::move(done));
  asio::post(state_->agent(), [done = std::move(done)] {
    done(fail(ErrorCode::kUnavailable, "this OPA gets no tokens: pdp.opa.url is not set"));
  });
}

void OpaPdp::on_tokens_lost(std::function<void()> callback) {
  if (state_->tokens()) state_->tokens()->on_lost(std::move(callback));
}

OpaTokensStatus OpaPdp::tokens_status() const {
  return state_->tokens() ? state_->tokens()->status() : OpaTokensStatus();
}

asio::awaitable<http::Response> OpaPdp::bundle_request(const http::Request& request) {
  co_return co_await asio::co_spawn(
      state_->agent(),
      State::hold(state_, std::string(request.header(kOpaInstanceHeader)),
                  std::string(request.header("If-None-Match")),
                  hold_time(request.header("Prefer"))),
      asio::use_awaitable);
}

asio::awaitable<http::Response> OpaPdp::status_post(const http::Request& request) {
  auto status = parse_json(request.body);
  if (!status) co_return http::error_response(400, "invalid_parameter", status.error().message);
  const std::string instance(request.header(kOpaInstanceHeader));
  asio::post(state_->agent(), [state = state_, instance, status = *std::move(status)] {
    state->on_status(instance, status);
  });
  http::Response response;
  response.body = "{}";
  co_return response;
}

asio::awaitable<Decisions> OpaPdp::evaluate(Question question) {
  const auto state = state_;
  const std::string& url = state->options_.url;
  if (url.empty())
    co_return fail(ErrorCode::kUnavailable,
                   "no OPA to forward decisions to: set pdp.opa.url, or ask OPA");
  const ActiveSetPtr active = state->basis()->active;
  if (state->tokens() && question.path.empty())
    co_return fail(ErrorCode::kMessage,
                   "an OPA with a token lane does not give all of data at once: ask for a path");
  if (state->tokens() && question.path.front() == kTokensRoot)
    co_return std::vector<Result<Decision>>(question.inputs.size(), Decision{.active = active});
  std::vector<Result<Decision>> decisions;
  for (const InputText& input : question.inputs) {
    auto call = opa_call(url, question, input);
    if (!call) {
      decisions.push_back(std::unexpected(std::move(call).error()));
      continue;
    }
    call->deadline_ms = state->options_.evaluation_ms;
    call->answer_bytes_max = limits::kJsonChangesBytesMax;
    const auto answer = co_await state->client().call(*std::move(call));
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none)
      co_return fail(ErrorCode::kCancelled, "the question was cancelled");
    if (!answer) co_return std::unexpected(answer.error());
    decisions.push_back(opa_decision(question.form, *answer, active));
  }
  co_return decisions;
}

}  // namespace notp::pdp
