// Certificates of a trust domain for tests, in files that the programs can read.
#pragma once

#include <stdexcept>

#include "common/storage/files.hpp"
#include "protocol/transport/tls_context.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/pki/pki.hpp"

namespace notp {

inline constexpr std::string_view kTestDomain = "core-platform.internal";

// Returns the value, or throws an exception with the error's message, which ends the test.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline std::string test_uri(std::string_view role, std::string_view name,
                            std::string_view domain = kTestDomain) {
  return "spiffe://" + std::string(domain) + "/" + std::string(role) + "/" + std::string(name);
}

class TestPki {
 public:
  TestPki() : authority_(must(pki::make_authority("test CA", pki::Validity::days(wall_ms(), 30)))) {
    must(write_file(authorities(), authority_.certificate_pem));
  }

  static TimeMs wall_ms() { return read_clock().wall_ms; }
  const pki::Credential& authority() const { return authority_; }
  std::filesystem::path authorities() const { return folder_.path() / "ca.pem"; }

  // A leaf that both sides accept for its role; tests modify it.
  pki::LeafOptions leaf(std::string_view role, std::string_view name) const {
    pki::LeafOptions options;
    options.common_name = std::string(name);
    options.uris = {test_uri(role, name)};
    options.validity = pki::Validity::days(wall_ms(), 10);
    options.server_auth = role == "registry";
    options.client_auth = role != "registry";
    return options;
  }

  transport::TlsFiles issue(const pki::LeafOptions& options) { return issue(authority_, options); }
  transport::TlsFiles issue(const pki::Credential& issuer, const pki::LeafOptions& options) {
    return write(must(pki::issue(issuer, options)), next_name());
  }
  transport::TlsFiles registry() { return issue(leaf("registry", "main")); }
  transport::TlsFiles node(std::string_view name) { return issue(leaf("node", name)); }

  // Overwrites the files of an earlier credential of that name.
  transport::TlsFiles write(const pki::Credential& credential, const std::string& name) {
    const transport::TlsFiles files{folder_.path() / (name + ".pem"),
                                    folder_.path() / (name + ".key"), authorities(),
                                    std::string(kTestDomain)};
    must(write_file(files.certificate, credential.certificate_pem));
    must(write_file(files.private_key, credential.key_pem, 0600));
    return files;
  }

 private:
  std::string next_name() { return "credential-" + std::to_string(count_++); }

  TemporaryFolder folder_;
  pki::Credential authority_;
  int count_ = 0;
};

}  // namespace notp
