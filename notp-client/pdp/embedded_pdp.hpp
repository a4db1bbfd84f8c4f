// The agent's embedded PDP: OPA's engine in supervised worker processes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/rego/host/engine.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "notp-client/pdp/token_sink.hpp"
#include "notp-client/pdp/unknown_keys.hpp"
#include "protocol/model/builtin_grants.hpp"

namespace notp::pdp {

struct EmbeddedOptions {
  rego::EngineOptions engine;
  model::BuiltinGrants builtins;  // beyond those of every ledger
  // Soft deadlines below some data paths ("a/b"), in place of the engine's; the longest matching
  // path applies.
  std::map<std::string, int64_t> deadlines_ms;
};

// activate() and start() on the agent's executor; evaluate() on any, also while a set is compiled
// or swapped: an evaluation ends with the snapshot it began with.
//
// A set that is superseded while it waits or compiles is dropped without a report. A set that
// differs only in the freshness of the same releases is not compiled. The roots of a denied ledger
// are withheld as soon as activate() returns, even if the rest of the set does not compile;
// evaluations under way end.
//
// A report carries kPdpRejected with the engine's findings, or the loader's own error.
class EmbeddedPdp final : public Pdp, public TokenSink {
 public:
  // `agent` runs the reports; `executor` reads the workers' answers, on any of its threads; `pool`
  // calls `load`. All outlive this object.
  EmbeddedPdp(boost::asio::any_io_executor agent, boost::asio::any_io_executor executor,
              boost::asio::thread_pool& pool, EmbeddedOptions options = {});
  // Ends the workers. No report is made afterwards; evaluations under way get kCancelled.
  ~EmbeddedPdp() override;

  std::string_view kind() const override { return "embedded"; }
  void start(PdpReport report) override;
  // Called on the agent's executor. Before start().
  void on_quarantine(PdpQuarantineReport report);
  // Called on the agent's executor, as UnknownKeyQueue does. Without it the engine is not asked.
  // Before start().
  void on_unknown_keys(UnknownKeyReport report);
  void activate(ActiveSetPtr wanted, model::BlobLoader load) override;
  // Workers that start have the newest table before their first question, so it is never lost.
  void apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> done) override;
  void on_tokens_lost(std::function<void()> /*callback*/) override {}
  DecisionBasisPtr basis() const override;
  // Errors of one input: those of rego::Engine::evaluate(). Decision::active is that of the
  // snapshot that the worker decided with.
  boost::asio::awaitable<Decisions> evaluate(Question question) override;
  rego::EngineStatus engine_status() const;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::pdp
