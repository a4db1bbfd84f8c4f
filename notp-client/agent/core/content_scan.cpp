#include "notp-client/agent/core/content_scan.hpp"

namespace notp::agent {

Result<ContentScan> scan_content(const ScanRequest& request, store::Store& store) {
  ContentScan scan;
  NOTP_ASSIGN(const model::TreePtr tree, store.tree(request.ledger, request.version));
  NOTP_ASSIGN(const std::vector<Hash> damaged, store.damaged(request.ledger, request.version));
  scan.missing_blobs.insert(damaged.begin(), damaged.end());
  if (request.form)
    scan.inventory = delta::take_inventory(*tree, scan.missing_blobs, *request.form);
  return scan;
}

}  // namespace notp::agent
