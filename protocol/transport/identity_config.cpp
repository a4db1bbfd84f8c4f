#include "protocol/transport/identity_config.hpp"

#include "common/config.hpp"

namespace notp {

Result<void> read_identities(const json::value& config, TlsFiles& files) {
  for (const json::value& entry : config_find(config, "identities")->as_array())
    if (auto added = files.identities.add(config_text(entry, "match"), config_text(entry, "role"),
                                          files.trust_domain);
        !added)
      return std::unexpected(std::move(added).error().in("identities"));
  if (config_find(config, "identity.builtin_ca"))
    files.built_in_authorities = config_text(config, "identity.builtin_ca");
  return {};
}

}  // namespace notp
