#include "tools/notp/audit/node_authorities.hpp"

#include <fmt/format.h>
#include <openssl/x509_vfy.h>

#include "common/c_ptr.hpp"
#include "common/tls/certificates.hpp"
#include "common/tls/peer_chain.hpp"
#include "protocol/record/announcement.hpp"

namespace notp::cli {

struct NodeAuthorities::Store {
  std::string name;
  CPointer<X509_STORE, X509_STORE_free> store{X509_STORE_new()};
};

NodeAuthorities::NodeAuthorities(std::unique_ptr<Store> store) : store_(std::move(store)) {}
NodeAuthorities::~NodeAuthorities() = default;
NodeAuthorities::NodeAuthorities(NodeAuthorities&&) noexcept = default;
NodeAuthorities& NodeAuthorities::operator=(NodeAuthorities&&) noexcept = default;

Result<NodeAuthorities> NodeAuthorities::read(const std::filesystem::path& path) {
  auto store = std::make_unique<Store>();
  store->name = path.string();
  NOTP_ASSIGN(const tls::Pem pem, tls::read_pem(path));
  NOTP_TRY(tls::add_authorities(store->store.get(), pem));
  return NodeAuthorities(std::move(store));
}

Result<void> NodeAuthorities::check(ByteView announcement) const {
  NOTP_ASSIGN(const std::vector<Bytes> certificates,
              record::announcement_certificates(announcement));
  Bytes shown;
  for (const Bytes& each : certificates) shown += each;
  NOTP_ASSIGN(const tls::Stack chain, tls::read_shown_chain(shown));
  if (tls::chains_to(sk_X509_value(chain.get(), 0), chain.get(), store_->store.get())) return {};
  return fail(ErrorCode::kCertificateUntrusted,
              fmt::format("no authority in {} has issued the certificate that the announcement is "
                          "signed with",
                          store_->name));
}

}  // namespace notp::cli
