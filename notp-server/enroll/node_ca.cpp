#include "notp-server/enroll/node_ca.hpp"

#include "common/limits.hpp"
#include "common/storage/files.hpp"

namespace notp::enroll {
namespace {

// A node whose clock is slightly behind must accept its own certificate at once.
constexpr TimeMs kBackdatedMs = 5LL * 60 * 1000;

Result<Bytes> read_pem(const std::filesystem::path& file) {
  auto text = read_file(file, limits::kPemBytesMax);
  if (!text) return fail(ErrorCode::kConfig, std::move(text).error().message);
  return text;
}

}  // namespace

Result<std::shared_ptr<const NodeCa::Files>> NodeCa::read() const {
  NOTP_ASSIGN(const Bytes certificate, read_pem(options_.certificate));
  NOTP_ASSIGN(const Bytes key, read_pem(options_.private_key));
  NOTP_ASSIGN(Bytes authorities, read_pem(options_.authorities));
  auto authority = CertificateAuthority::read(certificate, key);
  if (!authority)
    return std::unexpected(std::move(authority).error().in(options_.certificate.string()));
  return std::make_shared<const Files>(std::move(*authority), std::move(authorities));
}

Result<std::unique_ptr<NodeCa>> NodeCa::open(NodeCaOptions options) {
  std::unique_ptr<NodeCa> out(new NodeCa(std::move(options)));
  NOTP_TRY(out->reload());
  return out;
}

Result<void> NodeCa::reload() {
  NOTP_ASSIGN(auto files, read());
  files_.set(std::move(files));
  return {};
}

Result<wire::Certificate> NodeCa::issue(const CertificateRequest& request,
                                        const session::Identity& node, TimeMs now_ms) const {
  const auto files = files_.get();
  NOTP_ASSIGN(std::string certificate,
              files->authority.issue(request, node.text(), node.name, now_ms - kBackdatedMs,
                                     now_ms + options_.lifetime_ms));
  return wire::Certificate{std::move(certificate), files->authorities};
}

wire::Certificate NodeCa::certificate_of(std::string issued) const {
  return {std::move(issued), files_.get()->authorities};
}

}  // namespace notp::enroll
