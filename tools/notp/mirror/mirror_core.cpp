#include "tools/notp/mirror/mirror_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace notp::cli {
namespace {

constexpr std::array<std::string_view, 6> kStates = {"unknown", "current", "waiting",
                                                     "held",    "refused", "failing"};
constexpr std::array<std::string_view, 10> kReasons = {
    "none",   "signature", "moved_tag",     "rewritten", "other_source",
    "no_key", "threshold", "invalid_model", "upstream",  "registry"};

template <typename Enum, size_t N>
Enum parse_name(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? Enum{} : static_cast<Enum>(found - names.begin());
}

std::string brief(const std::string& commit) { return commit.substr(0, 12); }

std::string tip_text(const MirrorTip& tip) {
  return fmt::format("{} ({})", tip.ref, brief(tip.commit));
}

MirrorDecision gather(MirrorStep step) {
  return {.step = step, .state = {}, .reason = {}, .message = {}};
}
MirrorDecision is_current() {
  return {
      .step = MirrorStep::kNothing, .state = MirrorState::kCurrent, .reason = {}, .message = {}};
}

// `checked` is about this head and these rules.
bool counts(const MirrorRules& rules, const MirrorFacts& facts) {
  const Hash head = facts.head ? facts.head->release_hash : Hash{};
  return facts.checked && facts.checked->head_hash == head && facts.checked->rules == rules.digest;
}

// An earlier pass came to this end with the same tip, head and rules.
bool was_checked(const MirrorRules& rules, const MirrorFacts& facts,
                 MirrorChecked::Outcome outcome) {
  return counts(rules, facts) && facts.checked->commit == facts.tip.commit &&
         facts.checked->outcome == outcome;
}

// Why a person must look before the tip may follow the head; kNone: it may. nullopt: the history
// must be compared first.
std::optional<MirrorReason> rewritten(const MirrorRules& rules, const MirrorFacts& facts) {
  if (!facts.head) return MirrorReason::kNone;
  const std::optional<trust::Source>& source = facts.head->source;
  if (!source || source->repository != rules.repository) return MirrorReason::kOtherSource;
  if (source->commit == facts.tip.commit) return MirrorReason::kNone;
  if (facts.tip.is_tag() && source->ref == facts.tip.ref) return MirrorReason::kMovedTag;
  if (!facts.has_head_commit) return std::nullopt;
  return *facts.has_head_commit ? MirrorReason::kNone : MirrorReason::kRewritten;
}

std::string rewritten_text(const MirrorRules& rules, const MirrorFacts& facts,
                           MirrorReason reason) {
  const MirrorHead& head = *facts.head;
  const std::string version = fmt::format("v{}", head.version);
  switch (reason) {
    case MirrorReason::kMovedTag:
      return fmt::format("{} was moved: {} has its commit {}, and now it is {}", facts.tip.ref,
                         version, brief(head.source->commit), brief(facts.tip.commit));
    case MirrorReason::kRewritten:
      return fmt::format(
          "the history of {} was rewritten or set back: {} has the commit {}, which is not in it",
          tip_text(facts.tip), version, brief(head.source->commit));
    default:
      return head.source ? fmt::format("{} was published from {}, not from {}", version,
                                       head.source->repository, rules.repository)
                         : fmt::format("{} was published by a person, not from {}", version,
                                       rules.repository);
  }
}

std::string sign_hint(const MirrorRules& rules, const MirrorFacts& facts) {
  return fmt::format("'notp sign {} v{}' shows the difference", rules.ledger,
                     facts.head ? facts.head->version + 1 : 1);
}

MirrorDecision hold(const MirrorRules& rules, const MirrorFacts& facts, MirrorReason reason) {
  MirrorDecision out{.step = MirrorStep::kPropose,
                     .state = MirrorState::kHeld,
                     .reason = reason,
                     .message = rewritten_text(rules, facts, reason)};
  if (facts.invalid) {
    // There is nothing that a person could sign.
    out.step = MirrorStep::kNothing;
    out.message += fmt::format("; and its content is not valid: {}", *facts.invalid);
    return out;
  }
  if (find_pending(facts, rules.repository) != nullptr) out.step = MirrorStep::kNothing;
  out.message += fmt::format("; nothing is released until a person has signed it: {}",
                             sign_hint(rules, facts));
  return out;
}

MirrorDecision release(const MirrorRules& rules, const MirrorFacts& facts) {
  const MirrorPending* pending = find_pending(facts, rules.repository);
  if (rules.can_sign && (pending == nullptr || !pending->is_signed_here))
    return {
        .step = MirrorStep::kPublish, .state = MirrorState::kCurrent, .reason = {}, .message = {}};
  return {.step = pending == nullptr ? MirrorStep::kPropose : MirrorStep::kNothing,
          .state = MirrorState::kWaiting,
          .reason = rules.can_sign ? MirrorReason::kThreshold : MirrorReason::kNoKey,
          .message = fmt::format("{} waits for signatures: {}", tip_text(facts.tip),
                                 sign_hint(rules, facts))};
}

MirrorDecision refuse(const std::string& why, const MirrorFacts& facts) {
  return {.step = MirrorStep::kNothing,
          .state = MirrorState::kRefused,
          .reason = MirrorReason::kInvalidModel,
          .message = fmt::format("{} is not released: {}", tip_text(facts.tip), why)};
}

// What is known of the content without building it: it is the head's, or it is invalid.
std::optional<MirrorDecision> known_content(const MirrorRules& rules, const MirrorFacts& facts) {
  if (!counts(rules, facts)) return std::nullopt;
  if (was_checked(rules, facts, MirrorChecked::Outcome::kInvalid))
    return refuse(facts.checked->message, facts);
  const bool is_same = facts.checked->outcome == MirrorChecked::Outcome::kSameContent;
  if (!is_same || facts.content_root) return std::nullopt;
  if (!facts.has_checked_content) return gather(MirrorStep::kComparePath);
  return *facts.has_checked_content ? std::optional(is_current()) : std::nullopt;
}

}  // namespace

std::string_view mirror_state_name(MirrorState state) {
  return kStates[static_cast<size_t>(state)];
}
std::string_view mirror_reason_name(MirrorReason reason) {
  return kReasons[static_cast<size_t>(reason)];
}
MirrorState parse_mirror_state(std::string_view name) {
  return parse_name<MirrorState>(kStates, name);
}
MirrorReason parse_mirror_reason(std::string_view name) {
  return parse_name<MirrorReason>(kReasons, name);
}

const MirrorPending* find_pending(const MirrorFacts& facts, const std::string& repository) {
  const uint64_t next = facts.head ? facts.head->version + 1 : 1;
  const MirrorPending* found = nullptr;
  for (const MirrorPending& pending : facts.pending) {
    const bool fits = pending.version == next && pending.source.repository == repository &&
                      pending.source.ref == facts.tip.ref &&
                      pending.source.commit == facts.tip.commit &&
                      (!facts.content_root || pending.content_root == *facts.content_root);
    // One that is signed here needs nothing more of this mirror.
    if (fits && (found == nullptr || (pending.is_signed_here && !found->is_signed_here)))
      found = &pending;
  }
  return found;
}

std::vector<Hash> superseded_pending(const MirrorFacts& facts, const std::string& repository) {
  std::vector<Hash> out;
  const bool is_unsigned = facts.verification && !facts.verification->is_good;
  const MirrorPending* wanted = is_unsigned ? nullptr : find_pending(facts, repository);
  for (const MirrorPending& pending : facts.pending)
    if (&pending != wanted && pending.source.repository == repository &&
        pending.signers == (pending.is_signed_here ? 1U : 0U))
      out.push_back(pending.release_hash);
  return out;
}

MirrorDecision decide_mirror(const MirrorRules& rules, const MirrorFacts& facts) {
  // The same tip under the same head: it was looked at before.
  if (was_checked(rules, facts, MirrorChecked::Outcome::kSameContent)) return is_current();
  if (facts.head && !facts.is_head_read) return gather(MirrorStep::kReadHead);
  if (!facts.is_fetched) return gather(MirrorStep::kFetch);
  if (!facts.verification) return gather(MirrorStep::kVerify);
  if (!facts.verification->is_good)
    return {.step = MirrorStep::kNothing,
            .state = MirrorState::kHeld,
            .reason = MirrorReason::kSignature,
            .message = fmt::format("{} is not released: {}", tip_text(facts.tip),
                                   facts.verification->message)};
  const std::optional<MirrorReason> reason = rewritten(rules, facts);
  if (!reason) return gather(MirrorStep::kCompareHistory);
  // What a person published, as a rollback in an emergency, is never undone by a machine.
  const bool must_hold = *reason == MirrorReason::kOtherSource ||
                         (*reason != MirrorReason::kNone && rules.on_rewrite == OnRewrite::kHold);
  if (must_hold && was_checked(rules, facts, MirrorChecked::Outcome::kPending) &&
      find_pending(facts, rules.repository) != nullptr)
    return hold(rules, facts, *reason);
  if (!must_hold)
    if (const auto known = known_content(rules, facts)) return *known;
  if (!facts.content_root) return gather(MirrorStep::kBuild);
  if (must_hold) return hold(rules, facts, *reason);
  if (facts.invalid) return refuse(*facts.invalid, facts);
  if (facts.head && facts.head->content_root == *facts.content_root) return is_current();
  return release(rules, facts);
}

}  // namespace notp::cli
