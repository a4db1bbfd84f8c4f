// The replay gate: evaluates the node's own newest recorded decisions with a release before that
// decides. protocol/model/README.md, "Gate".
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/rego/host/replayer.hpp"
#include "notp-client/agent/core/gate_tally.hpp"
#include "notp-client/pdp/active_set.hpp"
#include "notp-client/spool/segment_source.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// Of one judgement, whatever it judges: reading, loading and evaluating.
inline constexpr int64_t kGateMs = 5'000;
inline constexpr int64_t kGateReadMs = 1'500;           // of it: for reading at most
inline constexpr int64_t kGateQuestionMs = 1'000;       // of it: for one decision at most
inline constexpr uint64_t kGateBytesMax = 64ULL << 20;  // of records in memory

struct GatedRelease {
  model::LedgerId ledger;
  uint64_t version = 0;
  model::GateTerms terms;
};

struct GateRequest {
  pdp::ActiveSetPtr candidate;  // all of what would decide
  std::vector<GatedRelease> releases;
};

struct GateReport {
  std::optional<Error> held;    // kGateHeld: of the first one that is held
  std::vector<Error> failures;  // the gate itself failed: alarms for a person
};

struct ReplayGateParts {
  // Null: nothing is recorded that the embedded engine decided, and no gate judges.
  spool::SegmentSource* log = nullptr;
  rego::ReplayOptions worker;
  // What an engine decides with; blocking.
  std::function<Result<rego::SnapshotPtr>(pdp::ActiveSetPtr, const model::BlobLoader&)> snapshot;
  // A result of a ledger of the set without what a record must not hold; an error: that is not
  // known. Blocking.
  std::function<Result<std::optional<Bytes>>(const pdp::ActiveSet&, const model::LedgerId&,
                                             ByteView result)>
      mask;
  prometheus::Registry& metrics;
};

// All methods run on the executor's thread, and the work on one of its own, in a policy worker of
// its own that is nice: decisions go on. One judgement at a time; a new one waits for the one
// before, which ends soon once it is cancelled.
//
// A gate that cannot judge lets the release pass, and says so. Too few decisions, or none that are
// recorded here, are nothing unusual: a line in the log. If the log cannot be read or the worker
// fails, that is an alarm, too: a release may be the answer to an attack, and a broken disk or
// worker must not keep it away.
class ReplayGate {
 public:
  explicit ReplayGate(ReplayGateParts parts);
  ~ReplayGate();
  ReplayGate(const ReplayGate&) = delete;
  ReplayGate& operator=(const ReplayGate&) = delete;

  // After cancel() the report is empty. `contents`: from any thread, as Activator has it.
  boost::asio::awaitable<GateReport> judge(GateRequest request, model::BlobLoader contents);
  // The judgement under way is not wanted any longer.
  void cancel();
  // The same for ever. Waits for the thread: kGateMs at most.
  void stop();

 private:
  enum class Outcome : uint8_t { kPassed, kHeld, kFew, kFailed, kReplaced };
  static constexpr size_t kOutcomes = 5;
  class Judgement;

  void conclude(const GatedRelease& release, Outcome outcome, const GateTally& tally,
                const std::string& why);

  const ReplayGateParts parts_;
  std::array<prometheus::Counter*, kOutcomes> counters_{};
  std::shared_ptr<std::atomic<bool>> cancelled_;  // of the judgement under way
  bool stopping_ = false;
  std::unique_ptr<transport::OffloadPool> pool_;  // one thread; null before the first judgement
};

}  // namespace notp::agent
