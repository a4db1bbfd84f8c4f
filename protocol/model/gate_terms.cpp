#include "protocol/model/gate_terms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace notp::model {
namespace {

constexpr size_t kDecimalsMax = 3;
constexpr uint32_t kPpmPerPercent = kPartsPerMillion / 100;

std::unexpected<Error> not_a_share(std::string_view text) {
  return fail(ErrorCode::kMessage,
              fmt::format("\"{}\" is not a share from 0% to 100% with at most {} decimals, as in "
                          "\"0.1%\"",
                          printable(text), kDecimalsMax));
}

// Digits alone; false: it is something else.
bool read_number(std::string_view digits, uint32_t& number) {
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number);
  return error == std::errc() && at == end;
}

}  // namespace

Result<uint32_t> parse_share_ppm(std::string_view text) {
  if (!text.ends_with('%')) return not_a_share(text);
  const std::string_view number = text.substr(0, text.size() - 1);
  const size_t point = number.find('.');
  uint32_t percent = 0, decimals = 0;
  if (!read_number(number.substr(0, point), percent)) return not_a_share(text);
  if (point != std::string_view::npos) {
    std::string digits(number.substr(point + 1));
    if (digits.size() > kDecimalsMax || !read_number(digits, decimals)) return not_a_share(text);
    for (size_t i = digits.size(); i < kDecimalsMax; ++i) decimals *= 10;
  }
  if (percent > 100 || (percent == 100 && decimals != 0)) return not_a_share(text);
  return percent * kPpmPerPercent + decimals * (kPpmPerPercent / 1'000);
}

std::string share_text(uint32_t ppm) {
  std::string text = fmt::format("{}.{:04}", ppm / kPpmPerPercent, ppm % kPpmPerPercent);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text + "%";
}

GateTerms read_gate_terms(const json::object& gate, std::vector<std::string>& lines) {
  GateTerms terms;
  const json::object& replay = gate.at("replay").as_object();
  if (const json::value* const decisions = replay.if_contains("decisions"))
    terms.decisions = decisions->to_number<uint32_t>();
  if (const json::value* const allow = replay.if_contains("allow")) {
    const auto share = parse_share_ppm(std::string_view(allow->as_string()));
    if (share)
      terms.allow_ppm = *share;
    else
      lines.push_back("/gate/replay/allow: " + share.error().message);
  }
  return terms;
}

}  // namespace notp::model
