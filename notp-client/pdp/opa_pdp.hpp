// A separate OPA process, fed through its bundle and status services.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/http/message.hpp"
#include "notp-client/pdp/opa_tokens.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "notp-client/pdp/token_sink.hpp"

namespace notp::pdp {

// For a node with a token lane, whose OPA must check who asks it (authz_module.hpp).
struct OpaTokensOptions {
  std::string secret;  // opa_tokens_secret()
  // Pointers into `input`, where tokens are: OPA's decision log does not get them.
  std::vector<std::string> inputs = {};
  OpaTokensLimits limits = {};
  // Called on the agent's executor when the status has changed; may be empty.
  std::function<void(const OpaTokensStatus&)> on_change = {};
};

struct OpaOptions {
  // "http://127.0.0.1:8181", OPA's API; empty: unknown, so decisions cannot be forwarded, and a
  // lost status stays lost until OPA's next poll.
  std::string url;
  int64_t status_poll_ms = 2'000;  // GET /v1/status while OPA's outcome is pending
  int64_t evaluation_ms = 5'000;   // of a forwarded decision, in total
  // Called on the agent's executor with each set before OPA gets it; may be empty.
  std::function<void(const ActiveSetPtr&)> on_offered = {};
  std::optional<OpaTokensOptions> tokens = {};  // needs `url`
  // RFC 6901, into an input: OPA's log lacks what is there, beside OpaTokensOptions::inputs.
  std::vector<std::string> hidden_inputs = {};
};

// start(), activate() and everything about tokens on the agent's executor, which must be one thread
// or a strand; evaluate(), bundle_request() and status_post() from any.
//
// A report of "rejected" carries kPdpRejected with OPA's errors, or the loader's own error. After
// it the bundle is never offered again; OPA is served the last bundle that it decided with until
// activate() brings another.
class OpaPdp final : public Pdp, public TokenSink {
 public:
  // `pool` builds bundles and calls `load`; it and `engine` must outlive this object.
  OpaPdp(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
         rego::ModelChecker& engine, OpaOptions options);
  // Ends held requests. Waits for a bundle that is being built.
  ~OpaPdp() override;

  std::string_view kind() const override { return "opa"; }
  void start(PdpReport report) override;
  void activate(ActiveSetPtr wanted, model::BlobLoader load) override;
  // The roots of a denied ledger are withheld until OPA confirms a set without it.
  DecisionBasisPtr basis() const override;
  // Forwards to OPA, one input after the other. With tokens, data.tokens is undefined here as in
  // every other PDP, and all of data at once is not to be had. kUnavailable, kTimeout; kMessage
  // with OPA's message when it refuses the request. `Decision::active` is what OPA had confirmed
  // when asked.
  boost::asio::awaitable<Decisions> evaluate(Question question) override;

  // kUnavailable also when there are no tokens in the options: OPA never has any then.
  void apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> done) override;
  void on_tokens_lost(std::function<void()> callback) override;
  OpaTokensStatus tokens_status() const;  // any thread

  // GET /bundles/notp: holds the request while OPA has the wanted bundle.
  boost::asio::awaitable<http::Response> bundle_request(const http::Request& request);
  // POST /status.
  boost::asio::awaitable<http::Response> status_post(const http::Request& request);

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::pdp
