#include "notp-server/enroll/enroll_config.hpp"

#include <utility>

namespace notp::enroll {

std::optional<EnrollConfig> load_enroll(const config::Section& root,
                                        const transport::TlsFiles& tls) {
  if (!root.has("enroll")) return std::nullopt;
  constexpr TimeMs kHourMs = 3'600'000;
  const config::Section enroll = root.section("enroll");
  std::filesystem::path authorities = enroll.text_or_empty("authorities");
  // If there are several authorities, an enrolled node trusts those that may name a registry.
  if (authorities.empty())
    authorities = tls.built_in_authorities.empty() ? tls.authorities : tls.built_in_authorities;
  return EnrollConfig{.listen = enroll.text("listen"),
                      .address = enroll.text_or_empty("address"),
                      .registry = enroll.text_or_empty("registry"),
                      .port_file = enroll.text_or_empty("port_file"),
                      .authority = {.certificate = enroll.text("authority_certificate"),
                                    .private_key = enroll.text("authority_key"),
                                    .authorities = std::move(authorities),
                                    .lifetime_ms = enroll.integer("certificate_hours") * kHourMs}};
}

}  // namespace notp::enroll
