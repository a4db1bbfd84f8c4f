// A byte that chooses the part, rules, a line break, and a text in which a secret may stand. The
// rules are a line of data.system.log.mask if they are JSON, else pointers of a manifest, separated
// by spaces. What is masked is JSON, holds no signature of the secret token and no secret below a
// masked pointer, and stays the same when it is masked again.
#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "notp-client/decision/jws_signatures.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "tests/support/json_reference.hpp"

namespace {

using namespace notp;
using namespace notp::decision;

// Removes, replaces and commits in turn. `has_indices`: set when an element may be removed by its
// index, after which indices count anew.
std::vector<model::MaskRule> terms_of(std::string_view line, bool& has_indices) {
  std::vector<model::MaskRule> terms;
  while (!line.empty() && terms.size() < limits::kMaskRulesMax) {
    const std::string_view pointer = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), pointer.size() + 1));
    if (!model::MaskPointer::parse(pointer) || pointer.size() > 400) continue;
    const auto op = static_cast<model::MaskOp>(terms.size() % 3);
    const bool has_digits = pointer.find_first_of("0123456789") != std::string_view::npos;
    has_indices = has_indices || (op == model::MaskOp::kRemove && has_digits);
    terms.push_back({op, std::string(pointer), op == model::MaskOp::kUpsert ? "\"masked\"" : ""});
  }
  return terms;
}

// Whether a value at a pointer's place, or below it, has the secret.
bool leaks(const reference::Value& value, std::span<const std::string> tokens) {
  if (tokens.empty()) return value.text.contains("s3cr3t");
  const auto rest = tokens.subspan(1);
  for (const auto& [name, member] : value.members)
    if ((tokens[0] == "*" || tokens[0] == name) && leaks(*member, rest)) return true;
  for (const auto& element : value.elements)
    if (tokens[0] == "*" && leaks(*element, rest)) return true;
  return false;
}

Bytes masked(const MaskRules& rules, model::MaskPart part, ByteView text) {
  SeededRandom random(1);
  const std::vector<const MaskRules*> sets = {&rules};
  LogMask mask(sets, random);
  auto out = mask.apply(part, text);
  if (!out) return {};
  return std::move(*out).value_or("null");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(reinterpret_cast<const char*>(data), size);
  const size_t line_end = input.find('\n');
  if (line_end == ByteView::npos || line_end == 0) return 0;
  const auto part = static_cast<model::MaskPart>(data[0] % model::kMaskParts);
  const ByteView line = input.substr(1, line_end - 1), text = input.substr(line_end + 1);
  bool has_indices = false;
  std::vector<model::MaskRule> terms;
  auto rules = MaskRules::from_policy(line);
  const bool is_policy = rules.has_value();
  if (!is_policy) {
    terms = terms_of(line, has_indices);
    rules = MaskRules::from_terms(terms);
    NOTP_ASSERT(rules.has_value(), "these rules are within the limits");
  }
  const Bytes once = masked(*rules, part, text);
  if (once.empty()) return 0;
  const auto document = reference::read(once);
  NOTP_ASSERT(document, "what is recorded is not JSON");
  NOTP_ASSERT(is_utf8(once), "what is recorded is not UTF-8");
  NOTP_ASSERT(reference::read(text), "what is not JSON was recorded");
  NOTP_ASSERT(find_jws_signatures(once, once.contains('\\')).empty(), "a signature was recorded");
  if (is_policy) return 0;
  for (const model::MaskRule& term : terms) {
    const auto pointer = model::MaskPointer::parse(term.pointer);
    NOTP_ASSERT(pointer->part != part || has_indices || !leaks(*document, pointer->tokens),
                "a masked value was recorded");
  }
  NOTP_ASSERT(has_indices || masked(*rules, part, once) == once, "masked twice is something else");
  return 0;
}
