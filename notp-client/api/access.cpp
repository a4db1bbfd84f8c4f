#include "notp-client/api/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "common/limits.hpp"
#include "notp-client/api/api_limits.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::api {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kBearer = "bearer ";
constexpr unsigned kUnauthorized = 401, kForbidden = 403;

bool identity_matches(std::string_view pattern, std::string_view uri) {
  if (!pattern.ends_with('*')) return pattern == uri;
  return uri.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::unexpected<Refusal> refuse(unsigned status, std::string_view code, std::string message) {
  return std::unexpected(Refusal{status, code, std::move(message)});
}

std::string show(const std::vector<std::string>& path) {
  std::string out = "data";
  for (const std::string& segment : path) out += "/" + printable(segment);
  return printable(out, limits::kPathBytesMax);
}

}  // namespace

Result<PathPattern> PathPattern::parse(std::string_view text) {
  PathPattern pattern;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
    if (segment == "*" && rest.empty()) {
      pattern.below_ = true;
      break;
    }
    auto decoded = http::percent_decode(segment);
    if (segment.empty() || segment.contains('*') || !decoded || text.ends_with('/'))
      return fail(ErrorCode::kConfig,
                  fmt::format("'{}' is not a path: write 'payments/allow', 'payments/*' or '*'",
                              printable(text)));
    pattern.segments_.push_back(*std::move(decoded));
  }
  if (pattern.segments_.empty() && !pattern.below_)
    return fail(ErrorCode::kConfig, "an empty path: write '*' for everything");
  return pattern;
}

bool PathPattern::covers(const std::vector<std::string>& path) const {
  if (is_everything()) return true;
  if (path.size() < segments_.size() + (below_ ? 1 : 0)) return false;
  return std::equal(segments_.begin(), segments_.end(), path.begin());
}

Result<void> check_identity_pattern(std::string_view text, std::string_view trust_domain) {
  const auto refuse_pattern = [&] {
    return fail(ErrorCode::kConfig,
                fmt::format("'{}' is not a SPIFFE id of this trust domain: write "
                            "spiffe://{}/path, maybe with * at the end",
                            printable(text), trust_domain));
  };
  std::string_view front = text;
  if (front.ends_with('*')) {
    front.remove_suffix(1);
    if (front == fmt::format("{}{}/", kScheme, trust_domain)) return {};
    if (front.ends_with('/')) front.remove_suffix(1);
  }
  const auto id = model::SpiffeId::parse(front);
  if (!id || id->trust_domain != trust_domain) return refuse_pattern();
  return {};
}

bool Caller::may_ask(const std::vector<std::string>& path) const {
  return everything ||
         std::ranges::any_of(paths, [&](const PathPattern& p) { return p.covers(path); });
}

std::expected<Caller, Refusal> Access::identify(const http::Peer& peer,
                                                std::string_view authorization,
                                                TimeMs wall_ms) const {
  if (!authorization.empty() && rules_.has_tokens) return by_token(authorization);
  if (peer.certificate) return by_certificate(*peer.certificate, wall_ms);
  if (peer.transport == http::Transport::kTls)
    return refuse(kUnauthorized, rules_.has_tokens ? "unauthorized" : "certificate_missing",
                  rules_.has_tokens
                      ? "show a client certificate, or a token as 'Authorization: Bearer …'"
                      : "show a client certificate; no api_token is configured here");
  if (rules_.has_tokens)
    return refuse(kUnauthorized, "unauthorized", "send a token as 'Authorization: Bearer …'");
  Caller caller;
  caller.anonymous = caller.everything = true;
  caller.name = peer.unix_peer ? fmt::format("process {}", peer.unix_peer->pid)
                               : fmt::format("connection {}", peer.connection);
  return caller;
}

std::expected<Caller, Refusal> Access::by_token(std::string_view authorization) const {
  if (!boost::beast::iequals(authorization.substr(0, kBearer.size()), kBearer))
    return refuse(kUnauthorized, "unauthorized",
                  "only 'Authorization: Bearer …' is understood here");
  authorization.remove_prefix(kBearer.size());
  const std::string_view name = authorization.size() > limits::kApiTokenBytesMax
                                    ? std::string_view()
                                    : rules_.tokens.find(authorization);
  if (name.empty())
    return refuse(kUnauthorized, "unauthorized", "the token is not one of this agent's");
  auto caller = granted(fmt::format("token {}", name),
                        [&](const PepRule& rule) { return rule.token == name; });
  if (caller) caller->token = name;
  return caller;
}

std::expected<Caller, Refusal> Access::by_certificate(const http::PeerCertificate& certificate,
                                                      TimeMs wall_ms) const {
  // The handshake's result stands; but a connection may outlive a certificate.
  if (certificate.error_code == "certificate_untrusted" ||
      certificate.error_code == "certificate_invalid")
    return refuse(kUnauthorized,
                  certificate.error_code == "certificate_untrusted" ? "certificate_untrusted"
                                                                    : "certificate_invalid",
                  fmt::format("the client certificate: {}", certificate.error));
  if (!certificate.error_code.empty() || wall_ms >= certificate.not_after_ms ||
      wall_ms < certificate.not_before_ms)
    return refuse(kUnauthorized, "certificate_expired",
                  fmt::format("the client certificate is valid from {} to {}, and it is {}",
                              utc_time(certificate.not_before_ms),
                              utc_time(certificate.not_after_ms), utc_time(wall_ms)));
  const std::string uri = certificate.uris.size() == 1 ? certificate.uris.front() : std::string();
  const auto id = model::SpiffeId::parse(uri);
  if (!id || id->trust_domain != rules_.trust_domain)
    return refuse(kForbidden, "identity_denied",
                  fmt::format("the client certificate names '{}', and has to name one SPIFFE id of "
                              "the trust domain {}",
                              printable(uri), rules_.trust_domain));
  auto caller = granted(uri, [&](const PepRule& rule) {
    return !rule.identity.empty() && identity_matches(rule.identity, uri);
  });
  if (caller) caller->identity = uri;
  return caller;
}

template <typename Matches>
std::expected<Caller, Refusal> Access::granted(std::string name, Matches matches) const {
  Caller caller;
  caller.name = std::move(name);
  caller.everything = rules_.peps.empty();
  caller.at_once = rules_.peps.empty() ? limits::kPepAtOnceDefault : 0;
  bool found = rules_.peps.empty();
  for (const PepRule& rule : rules_.peps) {
    if (!matches(rule)) continue;
    found = true;
    caller.at_once = std::max(caller.at_once, rule.at_once);
    for (const PathPattern& path : rule.paths) {
      caller.everything |= path.is_everything();
      caller.paths.push_back(path);
    }
  }
  if (found) return caller;
  return refuse(
      kForbidden, "identity_denied",
      fmt::format("no entry of 'peps' in the agent's configuration is for {}", caller.name));
}

std::expected<void, Refusal> Access::check_path(const Caller& caller,
                                                const std::vector<std::string>& path) {
  if (caller.may_ask(path)) return {};
  return refuse(kForbidden, "path_not_allowed",
                fmt::format("{} may not ask {}; the agent's configuration grants paths under "
                            "'peps'",
                            caller.name, show(path)));
}

std::expected<void, Refusal> Access::check_everything(const Caller& caller, std::string_view what) {
  if (caller.everything) return {};
  return refuse(kForbidden, "path_not_allowed",
                fmt::format("{} may not see {}: that takes the path '*' under 'peps' in the "
                            "agent's configuration",
                            caller.name, what));
}

uint64_t RefusalLog::count(std::string_view peer, std::string_view code, TimeMs boot_ms) {
  const auto [entry, added] = entries_.try_emplace(fmt::format("{} {}", code, peer));
  ++entry->second.since;
  if (!added && boot_ms - entry->second.logged_ms < limits::kRefusalLogMs) return 0;
  const uint64_t since = std::exchange(entry->second.since, 0);
  entry->second.logged_ms = boot_ms;
  if (entries_.size() > limits::kRefusalsRememberedMax) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it)
      if (it != entry &&
          (oldest == entries_.end() || it->second.logged_ms < oldest->second.logged_ms))
        oldest = it;
    entries_.erase(oldest);
  }
  return since;
}

}  // namespace notp::api
