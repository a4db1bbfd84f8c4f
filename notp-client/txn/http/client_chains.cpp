#include "notp-client/txn/http/client_chains.hpp"

namespace notp::txn {

Result<std::unique_ptr<ClientChains>> ClientChains::open(http::TlsEndpoint endpoint) {
  NOTP_ASSIGN(http::ServerTlsPtr tls, http::ServerTls::load(endpoint));
  return std::unique_ptr<ClientChains>(new ClientChains(std::move(endpoint), std::move(tls)));
}

std::optional<http::PeerCertificate> ClientChains::judge(Bytes chain) const {
  const http::ServerTlsPtr tls = tls_.get();
  auto shown = http::ShownCertificate::of(std::move(chain), tls);
  if (!shown) return std::nullopt;
  return shown->judge(tls, read_clock().wall_ms);
}

void ClientChains::look() {
  // The listener, which reads the same files, says what is wrong with them.
  if (auto tls = http::ServerTls::load(endpoint_)) tls_.set(*std::move(tls));
}

}  // namespace notp::txn
