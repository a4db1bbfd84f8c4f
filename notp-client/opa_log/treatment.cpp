#include "notp-client/opa_log/treatment.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "notp-client/decision/jws_signatures.hpp"
#include "notp-client/decision/log_mask.hpp"

namespace notp::opa_log {
namespace {

constexpr std::string_view kPolicyDrop = "data.system.log.drop";

// Pointers and commitments of this mask, behind those of OPA's own.
void add_lists(decision::MaskLists lists, record::DecisionContent& content) {
  size_t unnamed = lists.unnamed;
  const auto add = [&](std::vector<std::string>& from, std::vector<std::string>& to) {
    for (std::string& pointer : from) {
      if (std::ranges::find(to, pointer) != to.end()) continue;
      if (to.size() + 1 < limits::kMaskedPathsMax)
        to.push_back(std::move(pointer));
      else
        ++unnamed;
    }
  };
  add(lists.erased, content.erased);
  add(lists.masked, content.masked);
  // What OPA committed to is null here: the second commitment says nothing.
  for (record::Commitment& one : lists.commitments)
    if (std::ranges::find(content.commitments, one.pointer, &record::Commitment::pointer) ==
            content.commitments.end() &&
        content.commitments.size() < limits::kMaskedPathsMax)
      content.commitments.push_back(std::move(one));
  if (unnamed > 0) content.masked.push_back(fmt::format("… and {} more", unnamed));
}

bool has_index(const decision::MaskRules& rules) {
  return std::ranges::any_of(rules.masks(), [](const decision::CompiledMask& mask) {
    return std::ranges::any_of(
        mask.tokens, [](const decision::MaskToken& token) { return token.index.has_value(); });
  });
}

bool matches(const decision::CompiledMask& mask, const model::MaskPointer& pointer) {
  return mask.part == pointer.part && mask.tokens.size() == pointer.tokens.size() &&
         std::ranges::equal(mask.tokens, pointer.tokens,
                            [](const decision::MaskToken& token, const std::string& name) {
                              return token.is_any || token.matches(ByteView(name));
                            });
}

// The rules that OPA's module applied, as bits: here they find nothing any more.
uint64_t applied_by_opa(const decision::MaskRules& rules, const record::DecisionContent& content) {
  std::vector<model::MaskPointer> pointers;
  const auto add = [&](const std::string& text) {
    if (auto pointer = model::MaskPointer::parse(text)) pointers.push_back(*std::move(pointer));
  };
  for (const auto* const list : {&content.erased, &content.masked})
    for (const std::string& text : *list) add(text);
  for (const record::Commitment& one : content.commitments) add(one.pointer);
  uint64_t bits = 0;
  for (size_t i = 0; i < rules.masks().size(); ++i)
    if (std::ranges::any_of(pointers,
                            [&](const auto& one) { return matches(rules.masks()[i], one); }))
      bits |= 1ULL << i;
  return bits;
}

Result<void> mask_parts(OpaEvent& event,
                        const std::vector<const decision::RecordedLedger*>& ledgers,
                        const decision::MaskRules* tokens, Random& random) {
  record::DecisionContent& content = event.content;
  std::vector<const decision::MaskRules*> rules;
  std::vector<decision::LedgerMasks*> masks;
  for (const decision::RecordedLedger* const ledger : ledgers) {
    if (!ledger->masks) continue;
    if (!ledger->masks->rules) return std::unexpected(ledger->masks->rules.error());
    const decision::MaskRules& own = *ledger->masks->rules;
    ledger->masks->was_used.store(true, std::memory_order_relaxed);
    if (event.is_masked) ledger->masks->matched.fetch_or(applied_by_opa(own, content));
    // An index would count again in what is left of an array.
    if (event.is_masked && has_index(own)) continue;
    masks.push_back(ledger->masks.get());
    rules.push_back(&own);
  }
  if (tokens) rules.push_back(tokens);
  decision::LogMask mask(rules, random);
  std::optional<Bytes> input, result, cache;
  if (content.input) {
    NOTP_ASSIGN(input, mask.apply(model::MaskPart::kInput, *content.input));
  }
  if (content.result) {
    NOTP_ASSIGN(result, mask.apply(model::MaskPart::kResult, *content.result));
  }
  if (!content.nd_builtin_cache.empty()) {
    NOTP_ASSIGN(cache, mask.apply(model::MaskPart::kNdCache, content.nd_builtin_cache));
  }
  content.input = std::move(input);
  content.result = std::move(result);
  content.nd_builtin_cache = std::move(cache).value_or("");
  for (size_t set = 0; set < masks.size(); ++set)
    masks[set]->matched.fetch_or(mask.matched(set), std::memory_order_relaxed);
  add_lists(mask.take_lists(), content);
  return {};
}

void withhold(record::DecisionContent& content, const Error& why) {
  record::Withheld withheld{record::WithheldReason::kMaskFailed,
                            printable(why.message, limits::kErrorTextBytesMax),
                            {},
                            {}};
  if (why.code == ErrorCode::kLimit) withheld.reason = record::WithheldReason::kOversized;
  if (content.input) withheld.input_hash = sha256(*content.input);
  if (content.result) withheld.result_hash = sha256(*content.result);
  if (!content.withheld) content.withheld = std::move(withheld);
  content.input = content.result = std::nullopt;
  content.nd_builtin_cache.clear();
}

// What no pointer reaches: only what always holds.
void mask_rest(record::DecisionContent& content) {
  for (Bytes* const text : {&content.mapped_result, &content.intermediate_results,
                            &content.rule_labels, &content.custom, &content.request_context})
    if (!text->empty()) *text = decision::LogMask::apply_built_in(*text).value_or("");
  if (!content.error) return;
  Bytes& errors = content.error->errors;
  if (!errors.empty()) errors = decision::LogMask::apply_built_in(errors).value_or("");
  content.error->message = decision::without_jws_signatures(content.error->message);
}

}  // namespace

std::optional<std::string> treat(OpaEvent& event, const decision::RecordedSet* decided_by,
                                 const decision::RecordedSet* newest, Random& random) {
  record::DecisionContent& content = event.content;
  const decision::RecordedSet* const terms = decided_by ? decided_by : newest;
  const decision::RecordedLedger* const owner = terms ? terms->owner(event.path) : nullptr;
  if (event.is_dropped) return std::string(kPolicyDrop);
  if (const auto* const front = owner ? owner->dropped(event.path) : nullptr)
    return decision::recorded_path(*front);
  if (decided_by && owner) content.ledger = owner->name;
  const bool has_parts = content.input || content.result || !content.nd_builtin_cache.empty();
  Result<void> masked;
  if (terms && has_parts)
    masked = mask_parts(event, terms->concerned(event.path), terms->tokens.get(), random);
  else if (has_parts)
    masked = fail(ErrorCode::kUnavailable, "no model is active: what it masks is unknown");
  if (!masked) withhold(content, masked.error());
  mask_rest(content);
  fit(content);
  return std::nullopt;
}

}  // namespace notp::opa_log
