// A TLS client on plain OpenSSL that sends what NOTP's client refuses to send.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <csignal>
#include <optional>
#include <string>

#include "protocol/transport/tls_context.hpp"

namespace notp {

// Blocks, in its own thread.
struct RawTlsClient {
  int version = TLS1_3_VERSION;
  bool alpn = true;
  std::optional<transport::TlsFiles> credential;
  std::string protocol = "notp/1";
  Bytes says;  // sent after the handshake

  // Returns what the server sent before it closed the connection.
  Bytes run(uint16_t port) const {
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket socket(io);
    socket.connect({boost::asio::ip::address_v4::loopback(), port});
    return run(socket);
  }
  // The same on an existing connection.
  Bytes run(boost::asio::ip::tcp::socket& socket) const {
    // OpenSSL's socket writes raise it when the server has closed already.
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX* tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(tls, version);
    const std::string offered = static_cast<char>(protocol.size()) + protocol;
    if (alpn)
      SSL_CTX_set_alpn_protos(tls, reinterpret_cast<const unsigned char*>(offered.data()),
                              static_cast<unsigned>(offered.size()));
    if (credential) {
      SSL_CTX_use_certificate_chain_file(tls, credential->certificate.c_str());
      SSL_CTX_use_PrivateKey_file(tls, credential->private_key.c_str(), SSL_FILETYPE_PEM);
    }
    SSL* ssl = SSL_new(tls);
    SSL_set_fd(ssl, socket.native_handle());
    Bytes heard;
    std::array<char, 4096> buffer;
    if (SSL_connect(ssl) == 1) {
      if (!says.empty()) SSL_write(ssl, says.data(), static_cast<int>(says.size()));
      for (int read = 0; (read = SSL_read(ssl, buffer.data(), buffer.size())) > 0;)
        heard.append(buffer.data(), static_cast<size_t>(read));
    }
    SSL_free(ssl);
    SSL_CTX_free(tls);
    ERR_clear_error();
    return heard;
  }
};

}  // namespace notp
