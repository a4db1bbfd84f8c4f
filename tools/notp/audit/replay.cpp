#include "tools/notp/audit/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "common/limits.hpp"

namespace notp::cli {
namespace {

using record::cannot;
using record::Replay;
using record::ReplayObstacle;

// Decisions that are read at a time: those with the same releases are then replayed together.
constexpr uint64_t kReplayPageRows = 1'000;

bool is_same_set(const std::shared_ptr<const record::ActiveSet>& a,
                 const std::shared_ptr<const record::ActiveSet>& b) {
  return a == b || (a && b && a->releases == b->releases && a->system == b->system);
}

// What decides which snapshot a decision needs.
using SetKey = std::pair<record::LogId, record::Position>;
SetKey set_of(const AuditRecord& record) { return {record.log, record.record.place.active}; }

size_t bytes_of(const ReplayedDecision& decision) {
  size_t bytes = decision.result ? decision.result->size() : 0;
  if (const record::DecisionContent* const content = decision.record.decision())
    for (const auto* text : {&content->input, &content->result})
      if (*text) bytes += (*text)->size();
  return bytes;
}

void count(ReplayReport& report, const ReplayedDecision& decision) {
  const record::ReplayVerdict& verdict = decision.verdict;
  for (const std::string& name : decision.unrecorded) ++report.unrecorded[name];
  switch (verdict.replay) {
    case Replay::kSame:
      ++report.same;
      return;
    case Replay::kDiffers:
      ++report.differs;
      ++report.changes[{decision.record.decision()->path, decision.record.decision()->outcome,
                        verdict.outcome}];
      return;
    case Replay::kCannot:
      ++report.cannot;
      ++report.obstacles[static_cast<size_t>(verdict.obstacle)];
      return;
  }
}

// Those that differ are listed before those of which nothing can be said.
class ReplayList {
 public:
  void add(ReplayedDecision decision) {
    if (decision.verdict.replay == Replay::kSame) return;
    auto& list = decision.verdict.replay == Replay::kDiffers ? differ_ : cannot_;
    const size_t bytes = bytes_of(decision);
    if (list.size() == kReplayListedMax || bytes > left_bytes_) return;
    left_bytes_ -= bytes;
    list.push_back(std::move(decision));
  }
  std::vector<ReplayedDecision> take() {
    std::ranges::move(cannot_, std::back_inserter(differ_));
    if (differ_.size() > kReplayListedMax) differ_.resize(kReplayListedMax);
    return std::move(differ_);
  }

 private:
  std::vector<ReplayedDecision> differ_, cannot_;
  size_t left_bytes_ = kReplayListedBytesMax;
};

// Replays a page, and gives the results in its order.
Result<std::vector<ReplayedDecision>> replay_page(std::vector<AuditRecord> page,
                                                  DecisionReplay& replay) {
  std::vector<size_t> order(page.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(set_of(page[i]), i); });
  std::vector<ReplayedDecision> replayed(page.size());
  for (const size_t i : order) {
    NOTP_ASSIGN(replayed[i], replay.replay(std::move(page[i])));
  }
  return replayed;
}

}  // namespace

Result<std::optional<record::ReplayVerdict>> DecisionReplay::start(rego::SnapshotPtr snapshot) {
  auto started = [&]() -> Result<void> {
    if (replayer_) return replayer_->activate(std::move(snapshot));
    NOTP_ASSIGN(replayer_, rego::Replayer::start(std::move(snapshot),
                                                 {.worker = options_.worker,
                                                  .is_accepted = options_.candidate == nullptr}));
    return {};
  }();
  if (started) return std::nullopt;
  Error& error = started.error();
  if (error.code != ErrorCode::kPdpRejected) {
    if (error.code == ErrorCode::kUnavailable) return std::unexpected(std::move(error));
    return cannot(ReplayObstacle::kReplayFailed,
                  "the recorded releases cannot be loaded: " + printable(error.message));
  }
  if (options_.candidate)
    return fail(ErrorCode::kInvalidModel,
                "the model does not compile beside the other ledgers of the recorded decisions:\n" +
                    error.message);
  return cannot(ReplayObstacle::kReplayFailed,
                "the recorded releases do not compile: " + printable(error.message));
}

// Makes the worker hold what decided; an obstacle: it cannot.
Result<std::optional<record::ReplayVerdict>> DecisionReplay::load(const AuditRecord& record) {
  if (is_same_set(loaded_, record.active)) return obstacle_;
  loaded_ = nullptr;
  obstacle_.reset();
  auto snapshot = recorded_snapshot(*record.active, releases_, options_.candidate);
  if (snapshot) {
    NOTP_ASSIGN(obstacle_, start(*std::move(snapshot)));
  } else if (snapshot.error().code == ErrorCode::kNotFound) {
    obstacle_ = cannot(ReplayObstacle::kReleaseMissing, snapshot.error().message);
  } else if (snapshot.error().code == ErrorCode::kMessage ||
             snapshot.error().code == ErrorCode::kPdpRejected) {
    obstacle_ = cannot(ReplayObstacle::kReplayFailed, printable(snapshot.error().message));
  } else {
    return std::unexpected(std::move(snapshot).error());
  }
  loaded_ = record.active;
  return obstacle_;
}

// Whether what was masked cannot be the reason of a difference.
bool DecisionReplay::is_independent(const record::DecisionContent& decision,
                                    const rego::RecordedQuestion& question) {
  const auto hidden = record::hidden_inputs(decision);
  if (!hidden) return false;
  const auto depends = replayer_->depends(question, *hidden, options_.evaluation_ms);
  return depends && !*depends;
}

Result<ReplayedDecision> DecisionReplay::replay(AuditRecord record) {
  ReplayedDecision out{.record = std::move(record)};
  const record::DecisionContent* const decision = out.record.decision();
  if (!decision) {
    out.verdict = cannot(ReplayObstacle::kNotADecision,
                         out.record.unreadable.empty()
                             ? "the record is none of a decision"
                             : "the record cannot be read: " + printable(out.record.unreadable));
    return out;
  }
  auto obstacle = record::obstacle_of(*decision, out.record.active.get());
  if (!obstacle) {
    NOTP_ASSIGN(obstacle, load(out.record));
  }
  if (obstacle) {
    out.verdict = *std::move(obstacle);
    return out;
  }
  rego::RecordedQuestion question{.path = record::segments_of(decision->path),
                                  .eval_time_ns = decision->eval_time_ns,
                                  .nd_builtin_cache = decision->nd_builtin_cache,
                                  .is_strict = record::was_strict(*decision)};
  if (decision->input) question.input = *decision->input;
  auto replayed = replayer_->evaluate(question, options_.evaluation_ms);
  if (!replayed) {
    if (replayed.error().code == ErrorCode::kUnavailable &&
        replayer_->restarts() >= rego::kReplayRestartsMax)
      return std::unexpected(std::move(replayed).error());
    out.verdict = cannot(ReplayObstacle::kReplayFailed, printable(replayed.error().message));
    return out;
  }
  record::ReplayedResult result{replayed->result, replayed->error_code, replayed->unrecorded,
                                replayer_->opa_version()};
  out.verdict = record::verdict_of(*decision, *out.record.active, result);
  if (out.verdict.obstacle == ReplayObstacle::kMasked && is_independent(*decision, question)) {
    result.is_independent = true;
    out.verdict = record::verdict_of(*decision, *out.record.active, result);
  }
  out.result = std::move(replayed->result);
  out.unrecorded = std::move(replayed->unrecorded);
  if (replayed->error) out.error = std::move(replayed->error->message);
  return out;
}

Result<ReplayReport> replay_decisions(AuditPort& port, wire::DecisionFilter filter,
                                      uint64_t decisions_max, DecisionReplay& replay,
                                      const std::function<void(uint64_t)>& moved) {
  ReplayReport report;
  ReplayList list;
  RecordPages pages(port, std::move(filter), /*oldest_first=*/false);
  while (report.total() < decisions_max) {
    const uint64_t wanted = std::min(decisions_max - report.total(), kReplayPageRows);
    NOTP_ASSIGN(auto page, pages.next(static_cast<uint32_t>(wanted)));
    if (!page) break;
    if (page->size() > wanted) page->resize(wanted);
    NOTP_ASSIGN(std::vector<ReplayedDecision> replayed, replay_page(*std::move(page), replay));
    for (ReplayedDecision& each : replayed) {
      count(report, each);
      list.add(std::move(each));
    }
    if (moved) moved(report.total());
  }
  report.more = pages.more();
  report.listed = list.take();
  return report;
}

Result<ReplayReport> replay_ids(AuditPort& port, const std::vector<std::string>& ids,
                                DecisionReplay& replay) {
  ReplayReport report;
  for (const std::string& id : ids) {
    NOTP_ASSIGN(std::vector<AuditRecord> found, find_decisions(port, id));
    NOTP_ASSIGN(ReplayedDecision replayed, replay.replay(std::move(found.front())));
    count(report, replayed);
    report.listed.push_back(std::move(replayed));
  }
  return report;
}

}  // namespace notp::cli
