// A blocking TLS client on plain OpenSSL, to test servers.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/c_ptr.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

class TlsClient {
 public:
  struct Options {
    std::optional<transport::TlsFiles> identity;  // its client certificate
    int version = 0;                              // TLS1_2_VERSION: at most that; 0: any
    std::string groups;                           // empty: OpenSSL's default
    std::string alpn;                             // length-prefixed
    SSL_SESSION* resume = nullptr;
  };

  // Connects and performs the handshake; ok() reports success.
  TlsClient(uint16_t port, const Options& options) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX* context = context_.get();
    if (options.version != 0) {
      SSL_CTX_set_min_proto_version(context, options.version);
      SSL_CTX_set_max_proto_version(context, options.version);
    }
    if (options.identity &&
        (SSL_CTX_use_certificate_chain_file(context, options.identity->certificate.c_str()) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, options.identity->private_key.c_str(),
                                     SSL_FILETYPE_PEM) != 1))
      throw std::runtime_error("the client's certificate cannot be used");
    if (!options.groups.empty()) SSL_CTX_set1_groups_list(context, options.groups.c_str());
    bio_.reset(BIO_new_ssl_connect(context));
    BIO_get_ssl(bio_.get(), &ssl_);
    if (!options.alpn.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                          static_cast<unsigned>(options.alpn.size()));
    if (options.resume != nullptr) SSL_set_session(ssl_, options.resume);
    BIO_set_conn_hostname(bio_.get(), ("127.0.0.1:" + std::to_string(port)).c_str());
    ok_ = BIO_do_handshake(bio_.get()) == 1;
    ERR_clear_error();
  }

  bool ok() const { return ok_; }
  SSL* ssl() { return ssl_; }

  // Returns the answer to a request, whether the connection is closed or kept; empty when there is
  // none.
  std::string ask(std::string_view request) {
    send(request);
    return receive();
  }
  void send(std::string_view request) {
    BIO_write(bio_.get(), request.data(), static_cast<int>(request.size()));
  }
  // Returns the available bytes, at least one; empty when the connection has ended.
  std::string read_some() {
    char piece[4096];
    const int got = BIO_read(bio_.get(), piece, sizeof piece);
    return {piece, static_cast<size_t>(std::max(got, 0))};
  }
  std::string receive() {
    std::string answer;
    while (true) {
      const size_t head = answer.find("\r\n\r\n");
      const size_t length = answer.find("Content-Length: ");
      if (head != std::string::npos && length != std::string::npos &&
          answer.size() >= head + 4 + std::stoul(answer.substr(length + 16)))
        return answer;
      const std::string more = read_some();
      if (more.empty()) return answer;
      answer += more;
    }
  }

 private:
  CPointer<SSL_CTX, SSL_CTX_free> context_;
  CPointer<BIO, BIO_free_all> bio_;
  SSL* ssl_ = nullptr;
  bool ok_ = false;
};

}  // namespace notp
