#include "protocol/transport/tls_config.hpp"

namespace notp::transport {

Result<TlsFiles> load_tls(const config::Section& root, const std::string& trust_domain) {
  const config::Section tls = root.section("tls");
  TlsFiles out{tls.text("certificate"), tls.text("key"), tls.text("ca"), trust_domain};
  out.allow_p384 = tls.has("allow_p384") && tls.flag("allow_p384");
  for (const config::Section& entry : root.sections("identities"))
    if (auto added = out.identities.add(entry.text("match"), entry.text("role"), trust_domain);
        !added)
      return std::unexpected(std::move(added).error().in("identities"));
  out.built_in_authorities = root.text_or_empty("identity.builtin_ca");
  return out;
}

}  // namespace notp::transport
