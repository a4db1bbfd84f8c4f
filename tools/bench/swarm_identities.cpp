#include "tools/bench/swarm_identities.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/pki/pki.hpp"

namespace notp::bench {
namespace {

constexpr int64_t kCertificateDays = 10;

Result<std::shared_ptr<const transport::TlsContext>> identity_of(const pki::Credential& authority,
                                                                 const SwarmIdentities::Plan& plan,
                                                                 size_t number) {
  const std::string name = fmt::format("{}-{}", plan.prefix, number);
  pki::LeafOptions leaf;
  leaf.common_name = name;
  leaf.uris = {fmt::format("spiffe://{}/node/{}", plan.trust_domain, name)};
  leaf.validity = pki::Validity::days(read_clock().wall_ms, kCertificateDays);
  leaf.client_auth = true;
  NOTP_ASSIGN(const pki::Credential issued, pki::issue(authority, leaf));
  transport::TlsTexts texts;
  texts.certificate = {name + ".crt", issued.certificate_pem};
  texts.private_key = {name + ".key", issued.key_pem};
  texts.authorities = {"ca.crt", authority.certificate_pem};
  texts.trust_domain = plan.trust_domain;
  return transport::TlsContext::make(texts, transport::Side::kClient);
}

}  // namespace

Result<std::shared_ptr<const SwarmIdentities>> SwarmIdentities::make(const Plan& plan) {
  pki::Credential authority;
  NOTP_ASSIGN(authority.certificate_pem, read_file(plan.pki / "ca.crt", limits::kPemBytesMax));
  NOTP_ASSIGN(authority.key_pem, read_file(plan.pki / "ca.key", limits::kPemBytesMax));
  std::shared_ptr<SwarmIdentities> made(new SwarmIdentities(plan.trust_domain, plan.count));
  const size_t threads = std::max<size_t>(plan.threads, 1);
  std::vector<std::optional<Error>> failures(threads);
  {
    std::vector<std::jthread> makers;
    for (size_t thread = 0; thread < threads; ++thread)
      makers.emplace_back([&, thread] {
        for (size_t number = thread; number < plan.count; number += threads) {
          auto context = identity_of(authority, plan, number);
          if (!context) {
            failures[thread] = std::move(context).error();
            return;
          }
          made->contexts_[number] = *std::move(context);
        }
      });
  }
  for (const std::optional<Error>& failure : failures)
    if (failure) return std::unexpected(*failure);
  return made;
}

std::string SwarmIdentities::name(size_t number) const {
  const auto& identity = context(number)->identity();
  return identity ? identity->text() : std::string();
}

}  // namespace notp::bench
