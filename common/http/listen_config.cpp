#include "common/http/listen_config.hpp"

#include <fmt/format.h>

#include "common/host_port.hpp"

namespace notp::http {

Result<ListenConfig> load_listen(const config::Section& section, uint16_t default_port) {
  const std::string address = section.text("address");
  const bool has_port = !address.ends_with(']') && address.contains(':');
  NOTP_ASSIGN(const HostPort at,
              HostPort::parse(has_port ? address : fmt::format("{}:{}", address, default_port)));
  ListenConfig out;
  out.endpoint = {.address = at.host,
                  .port = at.port,
                  .certificate = section.text("certificate"),
                  .private_key = section.text("key"),
                  .client_authorities = section.text("client_ca"),
                  .client_certificate = ClientCertificate::kOptional,
                  .allow_p384 = section.has("allow_p384") && section.flag("allow_p384")};
  out.hosts = section.texts("hosts");
  out.port_file = section.text_or_empty("port_file");
  return out;
}

}  // namespace notp::http
