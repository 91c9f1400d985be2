"""The static edge (OPT-03): every region's assets bucket, and the one CloudFront distribution before them."""
