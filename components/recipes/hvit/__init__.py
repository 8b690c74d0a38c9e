"""Recipe `hvit`: a classifier of pictures on a hierarchical vision transformer, or on any other backbone of timm."""
