// Access control of the agent's listeners. Pure: no I/O and no clock; request_gate.cpp holds the
// counters.
//
// A caller is identified by a bearer token, or by a client certificate with one SPIFFE id of the
// trust domain; with both, the token counts. Without either it is anonymous, which is accepted on
// loopback and on a Unix socket if no `api_token` is configured.
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

namespace notp::api {

// A pattern of data paths, by segments. "payments/allow": that document and everything in it.
// "payments/*": everything below payments, but not payments itself. "*": everything, including what
// is not data: the status and the policies.
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

// The grant of one entry of `peps`. Entries only add rights.
struct PepRule {
  std::string identity;  // "spiffe://core.internal/ns/shop/sa/*"; "*" only at the end
  std::string token;     // name of a token; one of the two is set
  std::vector<PathPattern> paths;
  size_t at_once = limits::kPepAtOnceDefault;
  bool operator==(const PepRule&) const = default;
};

// kConfig unless the text is a SPIFFE id of the trust domain, optionally with "*" at its end.
Result<void> check_identity_pattern(std::string_view text, std::string_view trust_domain);

// Why a request is refused. `code` is stable: operators of PEPs search for it.
struct Refusal {
  unsigned status = 403;
  std::string_view code;
  std::string message;  // for a person: what to do
};

// The caller of a request, and its grants.
struct Caller {
  std::string name;      // "spiffe://…", "token till", "process 4711", "connection 12"
  std::string identity;  // SPIFFE id of the certificate that counts; empty: none
  std::string token;     // name of the token that counts; empty: none
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
  // Empty: every identified caller may access everything.
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

  // 403 path_not_allowed unless the caller may query data.<path>.
  static std::expected<void, Refusal> check_path(const Caller& caller,
                                                 const std::vector<std::string>& path);
  // The same for resources other than decisions; `what` is for the message: "the status".
  static std::expected<void, Refusal> check_everything(const Caller& caller, std::string_view what);

 private:
  std::expected<Caller, Refusal> by_token(std::string_view authorization) const;
  std::expected<Caller, Refusal> by_certificate(const http::PeerCertificate& certificate,
                                                TimeMs wall_ms) const;
  // Collects the grants of the rules for which `matches` is true.
  template <typename Matches>
  std::expected<Caller, Refusal> granted(std::string name, Matches matches) const;

  const AccessRules rules_;
};

// Limits the logging of refusals: the first of a (peer, code) is logged, then one per kRefusalLogMs
// with the count of those in between. Bounded; one thread at a time.
class RefusalLog {
 public:
  // Returns the number of refusals to log now, including this one; 0: this one is only counted.
  uint64_t count(std::string_view peer, std::string_view code, TimeMs boot_ms);

 private:
  struct Entry {
    TimeMs logged_ms = 0;
    uint64_t since = 0;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace notp::api
