// A registry's enrolment without network, and models of a deny list.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/certificate.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "protocol/transport/join_token.hpp"
#include "tests/support/registry/signed_releases.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline constexpr TimeMs kHourMs = 3'600'000;
inline const model::LedgerId kDenied{100'000'000'000, "denied"};

inline samples::Texts deny_model(const std::string& document) {
  return {{"manifest.json", R"({"roots":["notp/denied"]})"}, {"notp/denied/data.json", document}};
}

inline std::string deny_document(const std::vector<std::string>& nodes) {
  json::object identities;
  for (const std::string& node : nodes)
    identities[test_uri("node", node)] = json::object{{"reason", "stolen"}};
  return json::serialize(json::object{{"identities", std::move(identities)}});
}

inline registry::Snapshot deny_release(uint64_t version, const std::string& document,
                                       uint64_t epoch = 0) {
  registry::Snapshot out;
  out.ref.ledger = kDenied;
  out.release.version = version;
  out.release.epoch = epoch;
  out.content = samples::model_of(deny_model(document));
  return out;
}

// The envelope of a root that nodes can pin.
inline Bytes sample_root() { return samples::signed_by(samples::root(), {1}).encode(); }

struct Office {
  TestPki pki;
  TemporaryFolder folder;
  std::unique_ptr<enroll::JoinTokens> tokens =
      must(enroll::JoinTokens::open(folder.path() / "tokens.db"));
  std::unique_ptr<enroll::NodeCa> authority;
  authz::DenyList denied{kDenied};
  std::optional<enroll::Enrollment> enrollment;
  std::vector<std::string> replaced;  // as the enrolment reported them
  TimeMs now = TestPki::wall_ms();
  const Bytes request = must(make_certificate_request()).request;

  Office() {
    must(write_file(folder.path() / "ca.key", pki.authority().key_pem, 0600));
    authority = must(enroll::NodeCa::open({.certificate = pki.authorities(),
                                           .private_key = folder.path() / "ca.key",
                                           .authorities = pki.authorities(),
                                           .lifetime_ms = 10 * kHourMs}));
    begin();
  }

  void begin() {
    enrollment.emplace(
        std::string(kTestDomain),
        enroll::EnrollmentParts{
            .tokens = *tokens,
            .authority = *authority,
            .denied = &denied,
            .roots = [] { return std::vector<Bytes>{sample_root()}; },
            .replaced = [this](const std::string& identity) { replaced.push_back(identity); }});
    enrollment->tell({"127.0.0.1:1", "127.0.0.1:2", sha256("ca")});
  }

  // As after a restart of the registry.
  void reopen_tokens() {
    enrollment.reset();
    tokens.reset();
    tokens = must(enroll::JoinTokens::open(folder.path() / "tokens.db"));
    begin();
  }

  Result<transport::JoinToken> token(const std::string& node, uint64_t lifetime_ms = 60'000,
                                     bool replace = false) {
    NOTP_ASSIGN(const std::string text,
                enrollment->new_token({node, lifetime_ms, replace}, test_uri("admin", "eve"), now));
    return transport::JoinToken::decode(text);
  }
  // Joins with a new key each time.
  ErrorCode join(const transport::JoinToken& token, Error* why = nullptr) {
    return join_with(token, must(make_certificate_request()).request, why);
  }
  ErrorCode join_with(const transport::JoinToken& token, const Bytes& with, Error* why = nullptr) {
    const auto joined = enrollment->join({token.proof(), with}, now, nullptr, why);
    return joined ? ErrorCode{} : joined.error().code;
  }
};

}  // namespace notp
