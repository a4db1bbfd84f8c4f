#include "notp-client/decision/mask_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/http/message.hpp"
#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "common/limits.hpp"
#include "common/percent.hpp"
#include "notp-client/decision/json_reader.hpp"
#include "notp-client/decision/log_mask.hpp"

namespace notp::decision {
namespace {

std::unexpected<Error> refuse(std::string_view what, std::string_view text) {
  return fail(ErrorCode::kMessage,
              fmt::format("a mask {}: {}", what, printable(text, limits::kMaskRuleBytesMax)));
}

Result<void> check_count(size_t rules) {
  if (rules <= limits::kMaskRulesMax) return {};
  return fail(ErrorCode::kLimit,
              fmt::format("{} masks, {} are allowed", rules, limits::kMaskRulesMax));
}

Result<void> check_size(size_t bytes) {
  if (bytes <= limits::kMaskRuleBytesMax) return {};
  return fail(ErrorCode::kLimit,
              fmt::format("a mask of {} bytes, {} are allowed", bytes, limits::kMaskRuleBytesMax));
}

// RFC 6901 section 4: an index has no leading zero.
std::optional<uint64_t> strict_index(std::string_view token) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  const bool is_whole = error == std::errc{} && end == token.data() + token.size();
  return is_whole && (token.size() == 1 || token[0] != '0') ? std::optional(value) : std::nullopt;
}

// Go's strconv.Atoi, of what is not negative.
std::optional<uint64_t> lenient_index(std::string_view token) {
  if (token.starts_with('+')) token.remove_prefix(1);
  const size_t zeros = token.find_first_not_of('0');
  if (zeros == std::string_view::npos) return token.empty() ? std::nullopt : std::optional(0ULL);
  return strict_index(token.substr(zeros));
}

MaskToken token_of(std::string name) {
  if (name == "*") return {.is_any = true};
  MaskToken token{.index = strict_index(name)};
  token.names.push_back(std::move(name));
  return token;
}

// Go's url.PathEscape.
std::string path_escaped(std::string_view segment) { return percent_encode(segment, "-_.~$&+=:@"); }

std::string pointer_unescaped(std::string_view segment) {
  std::string out;
  for (size_t i = 0; i < segment.size(); ++i) {
    const bool is_escape = segment.substr(i, 2) == "~0" || segment.substr(i, 2) == "~1";
    out.push_back(!is_escape ? segment[i] : segment[i + 1] == '0' ? '~' : '/');
    i += is_escape ? 1 : 0;
  }
  return out;
}

Result<MaskToken> policy_token(std::string_view segment) {
  auto plain = http::percent_decode(segment);
  if (!plain) return refuse("has a broken escape in its path", segment);
  MaskToken token{.names = {std::string(segment)}, .index = lenient_index(segment)};
  for (std::string& name :
       std::array{*std::move(plain), path_escaped(segment), pointer_unescaped(segment)})
    if (std::ranges::find(token.names, name) == token.names.end())
      token.names.push_back(std::move(name));
  return token;
}

Result<CompiledMask> policy_mask(model::MaskOp op, std::string_view path, Bytes value) {
  NOTP_TRY(check_size(path.size() + value.size()));
  if (!path.starts_with('/')) return refuse("has a path without a slash at its front", path);
  CompiledMask mask{.op = op, .value = std::move(value), .inserts = op == model::MaskOp::kUpsert};
  std::string_view rest = path.substr(1);
  const std::string_view part = rest.substr(0, rest.find('/'));
  constexpr std::array kParts = {model::MaskPart::kInput, model::MaskPart::kResult,
                                 model::MaskPart::kNdCache};
  const auto found = std::ranges::find(kParts, part, model::mask_part_name);
  if (found == kParts.end())
    return refuse("begins with none of /input, /result and /nd_builtin_cache", path);
  mask.part = *found;
  for (size_t slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
    rest.remove_prefix(slash + 1);
    NOTP_ASSIGN(MaskToken token, policy_token(rest.substr(0, rest.find('/'))));
    mask.tokens.push_back(std::move(token));
  }
  return mask;
}

// Returns the string that a JSON text is; nullopt: another value.
std::optional<std::string> string_of(std::optional<ByteView> value) {
  if (!value || !value->starts_with('"')) return std::nullopt;
  return unescape_json(value->substr(1, value->size() - 2));
}

Result<CompiledMask> policy_mask(ByteView rule) {
  if (const auto path = string_of(rule)) return policy_mask(model::MaskOp::kRemove, *path, {});
  const auto members = json_members(rule);
  if (!members) return fail(ErrorCode::kMessage, "a mask is neither a path nor an object");
  const auto op = string_of(json_member(*members, "op"));
  if (op != "remove" && op != "upsert")
    return refuse("has an op other than remove and upsert", op.value_or(""));
  const auto path = string_of(json_member(*members, "path"));
  if (!path) return fail(ErrorCode::kMessage, "a mask has no path");
  if (op == "remove") return policy_mask(model::MaskOp::kRemove, *path, {});
  // It may have been made from what it replaces.
  NOTP_ASSIGN(Bytes value,
              LogMask::apply_built_in(json_member(*members, "value").value_or("null")));
  return policy_mask(model::MaskOp::kUpsert, *path, std::move(value));
}

}  // namespace

Result<MaskRules> MaskRules::from_terms(std::span<const model::MaskRule> terms) {
  NOTP_TRY(check_count(terms.size()));
  MaskRules rules;
  for (const model::MaskRule& term : terms) {
    NOTP_TRY(check_size(term.pointer.size() + term.value.size()));
    NOTP_ASSIGN(model::MaskPointer pointer, model::MaskPointer::parse(term.pointer));
    CompiledMask mask{.part = pointer.part, .op = term.op};
    if (term.op == model::MaskOp::kUpsert) {
      NOTP_ASSIGN(mask.value, LogMask::apply_built_in(term.value));
    }
    for (std::string& token : pointer.tokens) mask.tokens.push_back(token_of(std::move(token)));
    rules.masks_.push_back(std::move(mask));
  }
  return rules;
}

Result<MaskRules> MaskRules::for_tokens(std::span<const std::string> pointers) {
  NOTP_TRY(check_count(pointers.size()));
  MaskRules rules;
  for (const std::string& text : pointers) {
    NOTP_TRY(check_size(text.size()));
    NOTP_ASSIGN(model::MaskPointer pointer, model::MaskPointer::parse("/input" + text));
    CompiledMask mask{.part = pointer.part, .op = model::MaskOp::kUpsert, .names_token = true};
    for (std::string& token : pointer.tokens) mask.tokens.push_back(token_of(std::move(token)));
    rules.masks_.push_back(std::move(mask));
  }
  return rules;
}

Result<MaskRules> MaskRules::from_policy(ByteView text) {
  const auto elements = is_json(text) ? json_elements(text) : std::nullopt;
  if (!elements) return fail(ErrorCode::kMessage, "masks are not in an array");
  NOTP_TRY(check_count(elements->size()));
  MaskRules rules;
  for (const ByteView element : *elements) {
    NOTP_ASSIGN(CompiledMask mask, policy_mask(element));
    rules.masks_.push_back(std::move(mask));
  }
  return rules;
}

}  // namespace notp::decision
