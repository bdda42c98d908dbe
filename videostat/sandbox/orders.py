"""How a video is ordered from each service: which provider, by what path, and where the answer has the id."""

ORDERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("jogg", "/v2/avatar", ("data", "project_id")),
    ("jogg-avatar", "/v2/create_video_from_avatar", ("data", "video_id")),
    ("jogg-product", "/v2/create_video_from_product", ("data", "product_video_id")),
    ("doubao", "/v1/video/generations", ("task_id",)),
    ("reelbot", "/api/v1/video/generate", ("projectId",)),
    ("reelbot", "/api/v1/video/generate", ("projectId",)),
)
