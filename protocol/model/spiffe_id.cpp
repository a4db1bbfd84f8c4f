#include "protocol/model/spiffe_id.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::model {
namespace {

constexpr std::string_view kScheme = "spiffe://";

bool is_segment_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// Returns the rule that a path breaks; empty: none.
std::string_view broken_rule(std::string_view path) {
  while (true) {
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty()) return "has an empty path segment, or a '/' at its end";
    if (segment == "." || segment == "..") return "has a path segment '.' or '..'";
    if (!std::ranges::all_of(segment, is_segment_char))
      return "has a character other than letters, digits, '.', '-' and '_' in its path";
    if (segment.size() == path.size()) return {};
    path.remove_prefix(segment.size() + 1);
  }
}

}  // namespace

Result<SpiffeId> SpiffeId::parse(std::string_view uri) {
  const auto refuse = [&](std::string_view rule) {
    return fail(ErrorCode::kIdentity, fmt::format("the identity '{}' {}; a SPIFFE id is "
                                                  "spiffe://<trust-domain>/<path>",
                                                  printable(uri), rule));
  };
  if (uri.size() > limits::kIdentityBytesMax)
    return refuse(fmt::format("is longer than {} bytes", limits::kIdentityBytesMax));
  if (!uri.starts_with(kScheme)) return refuse("does not start with spiffe://");
  const std::string_view rest = uri.substr(kScheme.size());
  const size_t slash = rest.find('/');
  if (!check_trust_domain(rest.substr(0, slash))) return refuse("has a malformed trust domain");
  if (slash == std::string_view::npos) return refuse("has no path");
  const std::string_view path = rest.substr(slash + 1);
  if (const auto rule = broken_rule(path); !rule.empty()) return refuse(rule);
  return SpiffeId{std::string(rest.substr(0, slash)), std::string(path)};
}

std::string SpiffeId::text() const { return fmt::format("{}{}/{}", kScheme, trust_domain, path); }

Result<SpiffePattern> SpiffePattern::parse(std::string_view text, std::string_view trust_domain) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kConfig,
                fmt::format("'{}' {}; write spiffe://{}/path, or spiffe://{}/path/* for all ids "
                            "below it, with '*' as the whole last segment",
                            printable(text), why, trust_domain, trust_domain));
  };
  const bool is_prefix = text.ends_with("/*");
  std::string_view front = text;
  if (is_prefix) front.remove_suffix(1);
  if (front.contains('*')) return refuse("has a '*' elsewhere than as its whole last segment");
  const std::string domain = fmt::format("{}{}/", kScheme, trust_domain);
  if (text.size() > limits::kIdentityBytesMax || !front.starts_with(domain))
    return refuse(fmt::format("is not a SPIFFE id of the trust domain {}", trust_domain));
  std::string_view path = front.substr(domain.size());
  if (is_prefix && path.ends_with('/')) path.remove_suffix(1);
  const bool is_whole_domain = is_prefix && front == domain;
  if (const auto rule = broken_rule(path); !is_whole_domain && !rule.empty()) return refuse(rule);
  return SpiffePattern(std::string(front), is_prefix);
}

bool SpiffePattern::covers(std::string_view uri) const {
  if (!is_prefix_) return uri == front_;
  return uri.size() > front_.size() && uri.starts_with(front_);
}

bool SpiffePattern::overlaps(const SpiffePattern& other) const {
  if (!is_prefix_) return other.covers(front_);
  if (!other.is_prefix_) return covers(other.front_);
  return front_.starts_with(other.front_) || other.front_.starts_with(front_);
}

}  // namespace notp::model
