// Who may ask what of the agent's listeners. Pure: no I/O and no clock; RequestGate holds what is
// counted.
//
// A caller is named by a bearer token, or by a client certificate with one SPIFFE id of the trust
// domain; with both, the token counts. Without either it is anonymous, which is enough on loopback
// and on a Unix socket where no `api_token` is configured.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/http/message.hpp"
#include "notp-client/api/api_limits.hpp"
#include "notp-client/api/api_tokens.hpp"

namespace notp {

// Data paths, by segments. "payments/allow": that document and what lies in it. "payments/*": what
// lies below payments, and not payments itself. "*": everything, also what is no data: the status
// and the policies.
class PathPattern {
 public:
  // kConfig. A segment may hold %2F.
  static Result<PathPattern> parse(std::string_view text);
  bool covers(const std::vector<std::string>& path) const;
  bool is_everything() const { return below_ && segments_.empty(); }
  bool operator==(const PathPattern&) const = default;

 private:
  std::vector<std::string> segments_;
  bool below_ = false;  // ended in "*"
};

// What one entry of `peps` grants. Entries only ever add.
struct PepRule {
  std::string identity;  // "spiffe://core.internal/ns/shop/sa/*"; a "*" at the end alone
  std::string token;     // name of a token; one of the two is set
  std::vector<PathPattern> paths;
  size_t at_once = limits::kPepAtOnceDefault;
  bool operator==(const PepRule&) const = default;
};

// kConfig unless the text is a SPIFFE id of the trust domain, maybe with "*" at its end.
Result<void> check_identity_pattern(std::string_view text, std::string_view trust_domain);

// Why a request is not served. `code` is stable: PEPs' operators look for it.
struct Refusal {
  unsigned status = 403;
  std::string_view code;
  std::string message;  // for a person: what to do
};

// Who asks, and what is granted to it.
struct Caller {
  std::string name;  // "spiffe://…", "token till", "process 4711", "connection 12"
  bool anonymous = false;
  bool everything = false;  // a "*" among its paths, or all paths of a host without rules
  std::vector<PathPattern> paths;
  size_t at_once = 0;  // 0: not limited here

  bool may_ask(const std::vector<std::string>& path) const;
};

struct AccessRules {
  std::string trust_domain;
  bool has_tokens = false;  // `api_token` is configured, whatever the file holds
  ApiTokens tokens;
  // None: every caller that has a name may ask everything.
  std::vector<PepRule> peps;
};

// Immutable; shared between threads.
class Access {
 public:
  explicit Access(AccessRules rules) : rules_(std::move(rules)) {}

  // 401: certificate_expired, certificate_untrusted, certificate_invalid, certificate_missing,
  // unauthorized. 403: identity_denied.
  std::expected<Caller, Refusal> identify(const http::Peer& peer, std::string_view authorization,
                                          TimeMs wall_ms) const;

  // 403 path_not_allowed, unless the caller may ask data.<path>.
  static std::expected<void, Refusal> check_path(const Caller& caller,
                                                 const std::vector<std::string>& path);
  // The same for what is no decision; `what` is for the message: "the status".
  static std::expected<void, Refusal> check_everything(const Caller& caller, std::string_view what);

 private:
  std::expected<Caller, Refusal> by_token(std::string_view authorization) const;
  std::expected<Caller, Refusal> by_certificate(const http::PeerCertificate& certificate,
                                                TimeMs wall_ms) const;
  // Of rules that match; `matches` says which.
  template <typename Matches>
  std::expected<Caller, Refusal> granted(std::string name, Matches matches) const;

  const AccessRules rules_;
};

// Which refusals are logged: the first of a (peer, code), then one in kRefusalLogMs with a count of
// those between. Bounded; one thread at a time.
class RefusalLog {
 public:
  // The number of refusals to log now, this one included; 0: this one is only counted.
  uint64_t count(std::string_view peer, std::string_view code, TimeMs boot_ms);

 private:
  struct Entry {
    TimeMs logged_ms = 0;
    uint64_t since = 0;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace notp
