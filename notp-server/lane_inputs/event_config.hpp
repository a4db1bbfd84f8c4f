// What the kinds that send events read of their entries: http, set_push, set_poll, ssf.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/http/client.hpp"
#include "common/oauth/client_auth.hpp"
#include "notp-server/lane_inputs/security_event.hpp"
#include "notp-server/lane_inputs/source_config.hpp"
#include "protocol/session/identity.hpp"

namespace notp::lane_inputs {

// Access tokens (RFC 9068) that may send events.
struct BearerTerms {
  std::string issuer, audience;
  std::vector<std::string> clients;
};

// --- by requests to this registry

// Client certificates that may send.
struct SenderIdentities {
  std::vector<session::IdentityPattern> patterns;
  std::string trust_domain;  // no other counts
};

struct HttpTerms final : KindTerms {
  SenderIdentities identities;
  std::optional<BearerTerms> bearer;
  std::vector<std::string> subject_issuers;  // empty: any

  std::vector<std::string> issuers() const override;
};

// How a transmitter shows itself, beside the signature of what it sends; both may be empty.
struct SenderTerms {
  SenderIdentities identities;
  std::filesystem::path authorization_file;  // the value of Authorization
};

struct SetTerms : KindTerms {
  SetRules rules;

  std::vector<std::string> issuers() const override { return {rules.issuer}; }
};

struct SetPushTerms final : SetTerms {
  SenderTerms sender;
};

// --- in answers to requests of this registry

struct RemoteTerms {
  std::optional<oauth::ClientAuthConfig> auth;
  std::filesystem::path ca;  // empty: the system's
  std::vector<Hash> pins;
  bool insecure_loopback = false;

  http::ClientTlsFiles tls() const {
    return {.authorities = ca, .certificate = {}, .private_key = {}, .pins = pins};
  }
};

struct SetPollTerms final : SetTerms {
  std::string url;
  RemoteTerms remote;
  TimeMs interval_ms = 0;
};

struct SsfTerms final : SetTerms {
  bool is_push = false;
  std::string push_url;
  SenderTerms sender;  // with push
  std::vector<std::string> hosts;
  RemoteTerms remote;
  TimeMs interval_ms = 0;  // with poll
};

using TermsResult = Result<std::shared_ptr<const KindTerms>>;
TermsResult load_http(const config::Section& section, std::string_view trust_domain);
TermsResult load_set_push(const config::Section& section, std::string_view trust_domain);
TermsResult load_set_poll(const config::Section& section, std::string_view trust_domain);
TermsResult load_ssf(const config::Section& section, std::string_view trust_domain);

}  // namespace notp::lane_inputs
