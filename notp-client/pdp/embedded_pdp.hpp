// The PDP inside the agent: compiles a composition aside, then swaps an immutable engine by
// pointer.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/rego/engine.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

// activate() and start() on the agent's executor; evaluate() from any thread, also while a
// composition is compiled or swapped: an evaluation ends with the engine it began with.
//
// A composition that another one supersedes while it compiles is still swapped in and reported when
// it compiles: under a stream of releases faster than the compiler, decisions keep moving forward.
// One that still waits is dropped without a report. Parsed documents and policy texts are kept by
// content hash, so that a release costs what changed in it.
//
// A composition that only tells another standing of the same releases is not compiled. Nothing of a
// ledger that is denied is answered from the return of activate() on, even if what is left of the
// composition does not compile; evaluations under way end.
//
// A report carries kPdpRejected with the engine's findings, or the loader's own error.
class EmbeddedPdp final : public Pdp {
 public:
  // `pool` runs one compilation at a time and calls `load` there; it must outlive this object.
  EmbeddedPdp(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
              rego::Limits limits = {});
  // Waits for a compilation under way. No report is made after it.
  ~EmbeddedPdp() override;

  std::string_view kind() const override { return "embedded"; }
  void start(PdpReport report) override;
  void activate(CompositionPtr composition, BlobLoader load) override;
  // Errors: those of rego::Policy::evaluate(), and kUnavailable.
  Result<std::optional<Bytes>> evaluate(std::string_view path, ByteView input) override;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp
