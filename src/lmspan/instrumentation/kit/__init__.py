"""What all sources share: how a call is announced, described and ended."""
