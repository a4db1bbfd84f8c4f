#include "protocol/session/server/upload.hpp"

#include <utility>

namespace notp::session {
namespace {

class MemoryUpload final : public Upload {
 public:
  Result<void> append(ByteView bytes) override {
    bytes_.append(bytes);
    return {};
  }
  Result<Bytes> take() override { return std::exchange(bytes_, {}); }

 private:
  Bytes bytes_;
};

}  // namespace

Result<std::unique_ptr<Upload>> MemoryUploads::open(const std::string&, uint64_t) {
  return std::make_unique<MemoryUpload>();
}

}  // namespace notp::session
