// A site's own authority beside that of a stack: issues SPIFFE ids of any form, like a SPIRE server
// with open registration.
#pragma once

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline std::string spiffe(const std::string& path) {
  return "spiffe://" + std::string(kStackDomain) + "/" + path;
}

class SharedAuthority {
 public:
  explicit SharedAuthority(Stack& stack) : stack_(stack) {
    must(write_file(authority_file(), authority_.certificate_pem));
    must(write_file(bundle_file(), authority_.certificate_pem + stack.authority().certificate_pem));
  }

  std::filesystem::path authority_file() const { return stack_.file("shared-ca.crt"); }
  // The certificates of this authority and the stack's.
  std::filesystem::path bundle_file() const { return stack_.file("bundle.crt"); }
  const pki::Credential& credential() const { return authority_; }

  // Options as in SPIRE: both purposes, and no name but the URI.
  pki::LeafOptions svid(const std::string& uri, TimeMs life_ms = 3'600'000) const {
    const TimeMs now = read_clock().wall_ms;
    pki::LeafOptions leaf;
    leaf.common_name = "svid";
    leaf.uris = {uri};
    leaf.validity = {now - 60'000, now + life_ms};
    leaf.server_auth = leaf.client_auth = true;
    return leaf;
  }
  // Writes STEM.crt and STEM.key into the stack's folder of keys.
  std::string issue(const std::string& stem, const std::string& uri) {
    return stack_.issue(stem, authority_, svid(uri));
  }
  // Replaces the files one after the other, as a tool would.
  void replace(const std::string& path, const std::string& uri, TimeMs life_ms) const {
    const pki::Credential next = must(pki::issue(authority_, svid(uri, life_ms)));
    must(write_file(path + ".crt", next.certificate_pem));
    must(write_file(path + ".key", next.key_pem, 0600));
  }

  // The section tls of a configuration that trusts both authorities.
  json::object tls(const std::string& path) const {
    return {{"certificate", path + ".crt"}, {"key", path + ".key"}, {"ca", bundle_file().string()}};
  }
  // Adds `identities`, and the stack's authority for ids of the built-in form, to a configuration.
  void configure(json::object& config, json::array identities) const {
    config["identities"] = std::move(identities);
    config["identity"] = json::object{{"builtin_ca", stack_.authority_file().string()}};
  }

 private:
  Stack& stack_;
  const pki::Credential authority_ =
      must(pki::make_authority("shared CA", pki::Validity::days(read_clock().wall_ms, 10)));
};

inline json::object identity_rule(const std::string& match, std::string_view role) {
  return {{"match", match}, {"role", role}};
}

}  // namespace notp
