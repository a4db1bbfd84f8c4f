// Asks an introspection endpoint about tokens (RFC 7662).
#pragma once

#include <optional>
#include <string>

#include "common/config.hpp"
#include "common/oauth/token_client.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

// The object `introspection` of a source.
struct IntrospectionConfig {
  std::string endpoint;  // https; written by a person
  std::string issuer;    // of the tokens, and of signed answers
  bool insecure_loopback = false;
  std::filesystem::path ca;  // of the endpoint; empty: the system's
  std::vector<Hash> pins;    // as in http::ClientTlsFiles
  oauth::ClientAuthConfig auth;
  // With an access token of auth.token_endpoint (RFC 7662 §2.1), or as the client itself.
  bool with_access_token = false;
  bool is_signed = false;  // RFC 9701: the audience is the client

  oauth::Server server() const { return {issuer, insecure_loopback}; }
};

// kConfig: a URL that check_url() refuses, a pin that cannot be read, what load_client_auth()
// refuses.
Result<IntrospectionConfig> load_introspection(const config::Section& section);

// One call at a time, on one executor; it must outlive the call. Nothing is kept of an answer: the
// lane is what keeps it.
class Introspector final : public lane::TokenResolver {
 public:
  // kConfig: a file cannot be read.
  static Result<std::unique_ptr<Introspector>> open(const IntrospectionConfig& config,
                                                    const Environment& environment,
                                                    IssuerKeys issuer_keys);

  // Errors of read_introspection() and of http::Client::call(); kConfig: a file cannot be read. The
  // token is in none of them, and in no log.
  boost::asio::awaitable<Result<std::optional<lane::TokenAdded>>> resolve(
      std::string token) override;

 private:
  Introspector(IntrospectionConfig config, IssuerKeys issuer_keys)
      : config_(std::move(config)), issuer_keys_(std::move(issuer_keys)) {}

  Result<http::Call> request(const std::string& token);

  const IntrospectionConfig config_;
  const IssuerKeys issuer_keys_;
  std::optional<oauth::TokenClient> tokens_;
  std::optional<http::Client> client_;
  SystemRandom random_;
};

}  // namespace notp::lane_inputs
