#include "protocol/model/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/bytes.hpp"
#include "common/limits.hpp"

namespace notp::model {
namespace {

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::unexpected<Error> usage(std::string message) {
  return fail(ErrorCode::kUsage, std::move(message));
}

// Accepts exactly the decimal text of a zone: no sign, no leading zero, nothing around it.
Result<uint64_t> parse_zone(std::string_view text) {
  uint64_t zone = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), zone);
  if (error != std::errc{} || end != text.data() + text.size() || std::to_string(zone) != text)
    return usage(fmt::format("zone \"{}\" is not a number between {} and {}", printable(text),
                             limits::kZoneMin, limits::kZoneMax));
  return zone;
}

// An exact text, or a prefix before a final "*".
bool half_matches(std::string_view pattern, std::string_view text) {
  if (!pattern.ends_with('*')) return pattern == text;
  pattern.remove_suffix(1);
  return text.starts_with(pattern);
}

}  // namespace

Result<LedgerId> LedgerId::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return usage(fmt::format("ledger \"{}\": write it as <zone>/<name>, like {}/payments",
                             printable(text), limits::kZoneMin));
  NOTP_ASSIGN(const uint64_t zone, parse_zone(text.substr(0, slash)));
  LedgerId ledger{zone, std::string(text.substr(slash + 1))};
  NOTP_TRY(ledger.check());
  return ledger;
}

Result<LedgerId> LedgerId::parse_uri(std::string_view uri, std::string_view trust_domain) {
  constexpr std::string_view kScheme = "ztauth://", kCollection = "/ledgers/";
  const auto malformed = [&] {
    return usage(fmt::format(
        "\"{}\" is not of the form ztauth://<trust-domain>/<zone>/ledgers/<name>", printable(uri)));
  };
  if (!uri.starts_with(kScheme)) return malformed();
  std::string_view rest = uri.substr(kScheme.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return malformed();
  if (rest.substr(0, slash) != trust_domain)
    return usage(fmt::format("\"{}\" is of another trust domain than {}", printable(uri),
                             printable(trust_domain)));
  rest.remove_prefix(slash + 1);
  const size_t collection = rest.find(kCollection);
  if (collection == std::string_view::npos) return malformed();
  NOTP_ASSIGN(const uint64_t zone, parse_zone(rest.substr(0, collection)));
  LedgerId ledger{zone, std::string(rest.substr(collection + kCollection.size()))};
  NOTP_TRY(ledger.check());
  return ledger;
}

Result<void> LedgerId::check() const {
  if (zone < limits::kZoneMin || zone > limits::kZoneMax)
    return usage(
        fmt::format("zone {} is not between {} and {}", zone, limits::kZoneMin, limits::kZoneMax));
  const auto refuse = [&](std::string_view rule) {
    return usage(fmt::format("ledger name \"{}\" {}", printable(name), rule));
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > limits::kNameBytesMax)
    return refuse(fmt::format("is longer than {} bytes", limits::kNameBytesMax));
  if (!is_letter_or_digit(name.front())) return refuse("does not start with a letter or digit");
  if (!std::ranges::all_of(
          name, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; }))
    return refuse("has a character other than a-z, 0-9, '.', '_' and '-'");
  if (name.ends_with('.') || name.ends_with(".git")) return refuse("ends in '.' or \".git\"");
  return {};
}

std::string LedgerId::text() const { return fmt::format("{}/{}", zone, name); }

std::string LedgerId::uri(std::string_view trust_domain) const {
  return fmt::format("ztauth://{}/{}/ledgers/{}", trust_domain, zone, name);
}

Result<void> check_trust_domain(std::string_view name) {
  const auto refuse = [&](std::string_view rule) {
    return usage(fmt::format("trust domain \"{}\" {}", printable(name), rule));
  };
  constexpr size_t kLabelBytesMax = 63;  // RFC 1035 §2.3.4
  if (name.empty()) return refuse("is empty");
  if (name.size() > limits::kNameBytesMax)
    return refuse(fmt::format("is longer than {} bytes", limits::kNameBytesMax));
  for (std::string_view rest = name;;) {
    const size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (label.empty() || label.size() > kLabelBytesMax)
      return refuse("has an empty label or one over 63 characters");
    if (!std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-'; }))
      return refuse("has a character other than a-z, 0-9, '-' and '.'");
    if (label.starts_with('-') || label.ends_with('-'))
      return refuse("has a label that starts or ends with '-'");
    if (dot == std::string_view::npos) return {};
    rest.remove_prefix(dot + 1);
  }
}

bool ledger_matches(std::string_view pattern, const LedgerId& ledger) {
  const size_t slash = pattern.find('/');
  if (slash == std::string_view::npos) return false;
  return half_matches(pattern.substr(0, slash), std::to_string(ledger.zone)) &&
         half_matches(pattern.substr(slash + 1), ledger.name);
}

}  // namespace notp::model
