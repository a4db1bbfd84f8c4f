// A Transaction Token Service as it is operated: a registry that publishes its keys, an issuance
// policy of 20 rules, workloads with certificates, and subject tokens of an OpenID provider.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/jose/key_set.hpp"
#include "common/jose/signing_key.hpp"
#include "tools/bench/agent_arm.hpp"
#include "tools/bench/load_stream.hpp"
#include "tools/bench/registry_process.hpp"
#include "tools/pki/pki.hpp"

namespace notp::bench {

class TxnArm {
 public:
  static constexpr std::string_view kTrustDomain = "bench.internal";
  static constexpr size_t kWorkloads = 200;  // that the policy knows
  static constexpr size_t kRules = 20;       // of the policy

  // `folder` is new. Returns once the service issues.
  static Result<std::unique_ptr<TxnArm>> start(std::filesystem::path programs,
                                               std::filesystem::path folder);

  // Clients of the service: workloads 0 to count - 1 of kWorkloads.
  Result<std::vector<LoadTls>> workloads(size_t count) const;
  static std::string workload(size_t number);  // its SPIFFE id
  static std::string person(size_t number);    // the subject of request `number`
  // HTTP requests for a token, each for another person with another access token. `delegates`: each
  // makes a grant, too.
  Result<std::vector<Bytes>> requests(size_t count, bool delegates) const;
  // The public keys of the service.
  Result<jose::KeySet> keys() const;

  PdpAddress address() const;
  std::string issuer() const;
  pid_t pid() const { return service_->pid(); }
  pid_t registry_pid() const { return registry_->pid(); }
  std::filesystem::path file(std::string_view name) const { return folder_ / name; }
  Result<void> stop();

 private:
  TxnArm(std::filesystem::path programs, std::filesystem::path folder, jose::SigningKey login)
      : programs_(std::move(programs)), folder_(std::move(folder)), login_(std::move(login)) {}
  Result<void> cli(std::vector<std::string> words) const;
  Result<void> registry_cli(std::vector<std::string> words) const;
  Result<void> make_trust_domain() const;
  // A certificate of the trust domain: pki/<name>.crt and .key.
  Result<void> issue(const std::string& name, pki::LeafOptions leaf) const;
  Result<void> publish_policy() const;
  Result<void> start_service();
  std::string sources_text() const;
  std::string service_text() const;
  Result<std::string> subject_token(size_t number, int64_t now_s) const;

  const std::filesystem::path programs_, folder_;
  const jose::SigningKey login_;  // of the provider
  uint16_t port_ = 0;             // of the service
  std::optional<RegistryProcess> registry_;
  std::optional<AgentArm> service_;
};

}  // namespace notp::bench
