#include "protocol/model/decision_terms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/limits.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::model {
namespace {

std::unexpected<Error> not_a_pointer(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("\"{}\": {}", printable(text), why));
}

// RFC 6901 section 4: nullopt for a '~' that is not the start of an escape.
std::optional<std::string> unescape_token(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      out.push_back(token[i]);
      continue;
    }
    if (++i == token.size() || (token[i] != '0' && token[i] != '1')) return std::nullopt;
    out.push_back(token[i] == '0' ? '~' : '/');
  }
  return out;
}

MaskOp op_of(std::string_view name) {
  if (name == "upsert") return MaskOp::kUpsert;
  return name == "commit" ? MaskOp::kCommit : MaskOp::kRemove;
}

// A pointer alone removes.
MaskRule mask_rule(const json::value& text) {
  if (text.is_string()) return {MaskOp::kRemove, std::string(text.as_string()), {}};
  const json::object& object = text.as_object();
  MaskRule rule{op_of(object.at("op").as_string()), std::string(object.at("path").as_string()), {}};
  if (const json::value* const value = object.if_contains("value"))
    rule.value = json::serialize(*value);
  return rule;
}

std::string flaw_of(const MaskRule& rule) {
  if (const auto pointer = MaskPointer::parse(rule.pointer); !pointer)
    return pointer.error().message;
  if ((rule.op == MaskOp::kUpsert) != !rule.value.empty())
    return fmt::format("\"{}\": \"value\" belongs to the op \"upsert\", which needs it",
                       printable(rule.pointer));
  if (rule.pointer.size() + rule.value.size() > limits::kMaskRuleBytesMax)
    return fmt::format("\"{}\": pointer and value have {} bytes, {} are allowed",
                       printable(rule.pointer), rule.pointer.size() + rule.value.size(),
                       limits::kMaskRuleBytesMax);
  return {};
}

void read_paths(const json::object& decisions, std::string_view name,
                const std::vector<std::string>& data_roots, std::vector<std::string>& paths,
                std::vector<std::string>& lines) {
  const json::value* const list = decisions.if_contains(name);
  if (list == nullptr) return;
  for (const json::value& path : list->as_array()) {
    paths.emplace_back(path.as_string());
    if (!roots_contain(data_roots, paths.back()))
      lines.push_back(fmt::format("/decisions/{}: \"{}\" is outside of the manifest's roots", name,
                                  printable(paths.back())));
  }
  std::ranges::sort(paths);
}

void read_retention(const json::object& decisions, DecisionTerms& terms,
                    std::vector<std::string>& lines) {
  const json::value* const retention = decisions.if_contains("retain_days");
  if (retention == nullptr) return;
  const auto days = [&](std::string_view name) -> uint32_t {
    const json::value* const value = retention->as_object().if_contains(name);
    return value ? value->to_number<uint32_t>() : 0;
  };
  terms.retain_days_min = days("min");
  terms.retain_days_max = days("max");
  if (terms.retain_days_max != 0 && terms.retain_days_max < terms.retain_days_min)
    lines.push_back(fmt::format("/decisions/retain_days: max is {}, less than min, which is {}",
                                terms.retain_days_max, terms.retain_days_min));
}

}  // namespace

std::string_view mask_part_name(MaskPart part) {
  constexpr std::array<std::string_view, kMaskParts> kNames = {"input", "result",
                                                               "nd_builtin_cache"};
  return kNames[static_cast<size_t>(part)];
}

Result<MaskPointer> MaskPointer::parse(std::string_view text) {
  if (!text.starts_with('/')) return not_a_pointer(text, "a pointer begins with a slash");
  MaskPointer pointer;
  bool is_first = true;
  for (std::optional<std::string_view> rest = text.substr(1); rest;) {
    const size_t slash = rest->find('/');
    const std::string_view token = rest->substr(0, slash);
    rest = slash == std::string_view::npos ? std::nullopt : std::optional(rest->substr(slash + 1));
    auto plain = unescape_token(token);
    if (!plain)
      return not_a_pointer(text, "a '~' in a pointer is written ~0, and a '/' in a name ~1");
    if (!std::exchange(is_first, false)) {
      pointer.tokens.push_back(*std::move(plain));
      continue;
    }
    constexpr std::array kAll = {MaskPart::kInput, MaskPart::kResult, MaskPart::kNdCache};
    const auto part = std::ranges::find(kAll, *plain, mask_part_name);
    if (part == kAll.end())
      return not_a_pointer(text, "a mask begins with /input, /result or /nd_builtin_cache");
    pointer.part = *part;
  }
  return pointer;
}

DecisionTerms read_decision_terms(const json::object& decisions,
                                  const std::vector<std::string>& data_roots,
                                  std::vector<std::string>& lines) {
  DecisionTerms terms;
  read_paths(decisions, "strict", data_roots, terms.strict, lines);
  read_paths(decisions, "drop", data_roots, terms.drop, lines);
  std::vector<std::string> both;
  std::ranges::set_intersection(terms.strict, terms.drop, std::back_inserter(both));
  for (const std::string& path : both)
    lines.push_back(fmt::format("/decisions: \"{}\" is both strict and dropped", printable(path)));
  if (const json::value* const list = decisions.if_contains("mask")) {
    for (const json::value& text : list->as_array()) {
      terms.mask.push_back(mask_rule(text));
      if (std::string flaw = flaw_of(terms.mask.back()); !flaw.empty())
        lines.push_back(fmt::format("/decisions/mask/{}: {}", terms.mask.size() - 1, flaw));
    }
  }
  read_retention(decisions, terms, lines);
  return terms;
}

}  // namespace notp::model
