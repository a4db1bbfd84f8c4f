// Verifies certificates that clients send within a request, as those that they show to TLS.
#pragma once

#include <memory>

#include "common/atomic_shared.hpp"
#include "common/http/tls.hpp"

namespace notp::txn {

// By the authorities of the listener's clients. Thread-safe.
class ClientChains {
 public:
  // Reads the files. kConfig.
  static Result<std::unique_ptr<ClientChains>> open(http::TlsEndpoint endpoint);

  // `chain`: certificates, DER, concatenated, the leaf first. nullopt: they cannot be read.
  std::optional<http::PeerCertificate> judge(Bytes chain) const;
  // Reads the files again; what cannot be read leaves the ones before, as at the listener.
  void look();

 private:
  ClientChains(http::TlsEndpoint endpoint, http::ServerTlsPtr tls)
      : endpoint_(std::move(endpoint)), tls_(std::move(tls)) {}

  const http::TlsEndpoint endpoint_;
  AtomicShared<http::ServerTls> tls_;
};

}  // namespace notp::txn
