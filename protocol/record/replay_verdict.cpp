#include "protocol/record/replay_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "protocol/record/json_comparison.hpp"

namespace notp::record {
namespace {

constexpr std::array<std::string_view, 3> kReplayNames = {"same", "differs", "cannot"};
constexpr std::array<std::string_view, kReplayObstacles> kObstacleNames = {
    "",         "not_a_decision", "no_release",     "release_missing",
    "withheld", "ad_hoc_query",   "not_evaluated",  "not_recorded",
    "masked",   "other_engine",   "engine_version", "replay_failed"};
static_assert(kObstacleNames.back() == "replay_failed");

constexpr std::string_view kInput = "/input";
constexpr std::string_view kResult = "/result";
constexpr std::string_view kNdCache = "/nd_builtin_cache";
constexpr size_t kPointersNamed = 3;

bool is_at_or_below(std::string_view pointer, std::string_view front) {
  return pointer.starts_with(front) &&
         (pointer.size() == front.size() || pointer[front.size()] == '/');
}

// Calls for the pointer of everything that a mask took out, until one call returns true.
template <typename Call>
bool any_masked(const DecisionContent& decision, Call call) {
  return std::ranges::any_of(decision.erased, call) || std::ranges::any_of(decision.masked, call) ||
         std::ranges::any_of(decision.commitments,
                             [&](const Commitment& each) { return call(each.pointer); });
}

bool is_index(std::string_view token) {
  return !token.empty() &&
         std::ranges::all_of(token, [](char byte) { return byte >= '0' && byte <= '9'; });
}

// The tokens of a pointer, up to the first that may be an index.
std::vector<std::string> names_in(std::string_view pointer) {
  std::vector<std::string> names;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::string_view token = pointer.substr(0, pointer.find('/'));
    if (is_index(token)) break;
    std::string& name = names.emplace_back();
    for (size_t at = 0; at < token.size(); ++at) {
      const std::string_view escape = token.substr(at, 2);
      const bool is_escape = escape == "~0" || escape == "~1";
      name.push_back(escape == "~1" ? '/' : token[at]);
      if (is_escape) ++at;
    }
    pointer.remove_prefix(token.size());
  }
  return names;
}

// What the policy may have seen and the record lacks, for a person; empty: nothing.
std::string hidden_from(const DecisionContent& decision) {
  std::string text;
  size_t found = 0;
  any_masked(decision, [&](const std::string& pointer) {
    // "… and 7 more" may be anything.
    if (is_at_or_below(pointer, kResult)) return false;
    if (++found <= kPointersNamed) text += (text.empty() ? "" : ", ") + pointer;
    return false;
  });
  if (found > kPointersNamed) text += fmt::format(" and {} more", found - kPointersNamed);
  return text;
}

bool is_same_result(const DecisionContent& decision, const ReplayedResult& replayed) {
  if (decision.error || !replayed.error_code.empty())
    return decision.error && decision.error->code == replayed.error_code;
  UncomparedValues uncompared;
  for (const std::string& pointer : decision.erased) uncompared.removed.insert(pointer);
  for (const std::string& pointer : decision.masked) uncompared.replaced.insert(pointer);
  for (const Commitment& each : decision.commitments) uncompared.replaced.insert(each.pointer);
  const bool has_masks =
      any_masked(decision, [](const std::string& p) { return is_at_or_below(p, kResult); });
  // The outcome is the one before the masks.
  if (has_masks && outcome_of(replayed.result) != decision.outcome) return false;
  if (uncompared.removed.contains(kResult) || uncompared.replaced.contains(kResult)) return true;
  if (decision.result.has_value() != replayed.result.has_value()) return false;
  return !decision.result || is_same_json(*decision.result, *replayed.result, uncompared, kResult);
}

std::string not_recorded(const DecisionContent& decision, const ActiveSet& active,
                         const ReplayedResult& replayed) {
  std::string names;
  for (const std::string& each : replayed.unrecorded) names += (names.empty() ? "" : ", ") + each;
  std::string text = fmt::format("the result of {} was not recorded", names);
  if (any_masked(decision, [](const std::string& p) { return is_at_or_below(p, kNdCache); }))
    text += ": results of built-ins were masked, or too large";
  else if (active.engine == "opa" && decision.nd_builtin_cache.empty())
    text += ": this OPA recorded none (nd_builtin_cache)";
  return text;
}

}  // namespace

std::string_view replay_name(Replay replay) {
  const auto at = static_cast<size_t>(replay);
  return at < kReplayNames.size() ? kReplayNames[at] : "";
}

std::string_view obstacle_name(ReplayObstacle obstacle) {
  const auto at = static_cast<size_t>(obstacle);
  return at < kObstacleNames.size() ? kObstacleNames[at] : "";
}

ReplayVerdict cannot(ReplayObstacle obstacle, std::string reason) {
  return {.replay = Replay::kCannot, .obstacle = obstacle, .reason = std::move(reason)};
}

std::optional<ReplayVerdict> obstacle_of(const DecisionContent& decision, const ActiveSet* active) {
  using enum ReplayObstacle;
  if (decision.withheld)
    return cannot(kWithheld, decision.withheld->reason == WithheldReason::kOversized
                                 ? "the record was too large: input and result were left out"
                                 : "masking failed: input and result were left out");
  if (active == nullptr || active->releases.empty())
    return cannot(kNoRelease, "the record names no release that was active");
  if (!decision.query.empty())
    return cannot(kAdHocQuery, "a query was asked, and not a path of a release");
  if (!decision.error) return std::nullopt;
  // Of OPA's codes, those of an evaluation.
  const std::string& code = decision.error->code;
  if (code.starts_with("eval_") && code != "eval_cancel_error") return std::nullopt;
  return cannot(kNotEvaluated,
                fmt::format("the node gave no answer of a policy: {}", printable(code)));
}

ReplayVerdict verdict_of(const DecisionContent& decision, const ActiveSet& active,
                         const ReplayedResult& replayed) {
  using enum ReplayObstacle;
  if (!replayed.unrecorded.empty())
    return cannot(kNotRecorded, not_recorded(decision, active, replayed));
  const Outcome outcome =
      replayed.error_code.empty() ? outcome_of(replayed.result) : Outcome::kError;
  ReplayVerdict verdict{.outcome = outcome};
  if (is_same_result(decision, replayed)) return verdict;
  const std::string hidden = replayed.is_independent ? std::string() : hidden_from(decision);
  if (!hidden.empty())
    verdict = cannot(kMasked, "the result differs, and the record lacks " + printable(hidden));
  else if (active.engine != "embedded")
    verdict = cannot(kOtherEngine,
                     fmt::format("the result differs, and the engine \"{}\" decided: its data may "
                                 "have been changed over its API",
                                 printable(active.engine)));
  else if (active.engine_version != replayed.engine_version)
    verdict = cannot(kEngineVersion,
                     fmt::format("the result differs, and OPA {} decided; this is OPA {}",
                                 printable(active.engine_version), replayed.engine_version));
  else
    verdict.replay = Replay::kDiffers;
  verdict.outcome = outcome;
  return verdict;
}

std::optional<std::vector<std::vector<std::string>>> hidden_inputs(
    const DecisionContent& decision) {
  std::vector<std::vector<std::string>> paths;
  const bool is_more = any_masked(decision, [&](const std::string& pointer) {
    if (is_at_or_below(pointer, kResult)) return false;
    if (!is_at_or_below(pointer, kInput)) return true;
    paths.push_back(names_in(std::string_view(pointer).substr(kInput.size())));
    return false;
  });
  if (is_more) return std::nullopt;
  return paths;
}

bool was_strict(const DecisionContent& decision) {
  return decision.error && decision.error->code == "eval_builtin_error";
}

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  if (path.empty()) return segments;
  segments.emplace_back();
  for (size_t at = 0; at < path.size(); ++at) {
    const std::string_view escape = path.substr(at, 3);
    if (path[at] == '/') {
      segments.emplace_back();
    } else if (escape == "%2F" || escape == "%25") {
      segments.back().push_back(escape == "%2F" ? '/' : '%');
      at += 2;
    } else {
      segments.back().push_back(path[at]);
    }
  }
  return segments;
}

}  // namespace notp::record
