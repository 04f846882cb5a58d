// A periodic cell in 3-D: rays are followed through a texture of its octant, whose mirrored
// repetition is the cell and its neighbours. What a plane or the faces of the block cut is flat.

const VERTEX = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
out vec2 screen;
void main() {
  screen = corners[gl_VertexID];
  gl_Position = vec4(screen, 0, 1);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler3D;
in vec2 screen;
out vec4 colour;
uniform sampler3D field;  // smooth occupancy, and samples to the nearest one that is solid
uniform float level;      // solid is where the occupancy is at least this
uniform float voxel;      // its edge; lengths are in edges of the cell
uniform float tiles;
uniform float corner;     // of what is shown, in the cell: 0, or 0.5 for its middle
uniform vec2 lens;        // tangents of half the angles of view
uniform mat3 turn;        // from the viewer to the cell: right, up, back
uniform float away;       // of the viewer, from the middle of the block
uniform vec4 plane;       // normal, and how far along it there is something to see
uniform vec3 body, cut;   // colours

vec2 at(vec3 p) { return texture(field, 2.0 * (p.zyx + corner)).rg; }

vec3 outwards(vec3 p) {
  vec2 h = vec2(0.8 * voxel, 0);
  vec3 slope = vec3(at(p + h.xyy).r - at(p - h.xyy).r, at(p + h.yxy).r - at(p - h.yxy).r,
                    at(p + h.yyx).r - at(p - h.yyx).r);
  return -slope / max(length(slope), 1e-6);
}

float openness(vec3 p, vec3 n) {
  float crowding = 0.0;
  for (int k = 1; k <= 4; k++) {
    float h = 1.7 * float(k) * voxel;
    crowding += clamp(1.0 - at(p + h * n).g * 0.5 * voxel / h, 0.0, 1.0) / float(k + 1);
  }
  return clamp(1.0 - 0.55 * crowding, 0.0, 1.0);
}

vec3 lit(vec3 base, vec3 n, vec3 towards, float open) {
  vec3 key = turn * normalize(vec3(-0.45, 0.75, 0.6)), fill = turn * normalize(vec3(0.8, 0.1, 0.4));
  float light = 0.30 + 0.62 * max(dot(n, key), 0.0) + 0.22 * max(dot(n, fill), 0.0);
  float shine = 0.16 * pow(max(dot(n, normalize(key + towards)), 0.0), 24.0);
  return base * light * mix(0.35, 1.0, open) + shine * open;
}

void main() {
  vec3 ray = turn * normalize(vec3(screen * lens, -1)), eye = vec3(0.5 * tiles) + away * turn[2];
  vec3 first = -eye / ray, second = (vec3(tiles) - eye) / ray;
  vec3 enter = min(first, second), leave = max(first, second);
  float t = max(max(enter.x, enter.y), enter.z), end = min(min(leave.x, leave.y), leave.z);
  vec3 face = -sign(ray) * vec3(equal(enter, vec3(t)));
  float slope = dot(plane.xyz, ray), hit = (plane.w - dot(plane.xyz, eye)) / slope;
  bool sectioned = slope < 0.0 && hit > t;
  if (sectioned) { t = hit; face = plane.xyz; }
  if (slope > 0.0) end = min(end, hit);
  colour = vec4(0);
  if (t >= end) return;
  vec3 normal = vec3(0), base = body;
  float open = 1.0;
  if (at(eye + (t + 0.01 * voxel) * ray).r >= level) {
    normal = normalize(face);
    base = sectioned ? cut : body;
  } else {
    float before = t, stride = 0.5 * voxel / max(max(abs(ray.x), abs(ray.y)), abs(ray.z));
    for (int k = 0; k < 600 && t < end; k++) {
      vec2 found = at(eye + t * ray);
      if (found.r >= level) {
        for (int n = 0; n < 6; n++) {
          float middle = 0.5 * (before + t);
          if (at(eye + middle * ray).r >= level) t = middle; else before = middle;
        }
        normal = outwards(eye + t * ray);
        open = openness(eye + t * ray, normal);
        break;
      }
      before = t;
      t += max(0.3 * voxel, (found.g - 2.0) * stride);
    }
    if (normal == vec3(0)) return;
  }
  colour = vec4(pow(lit(base, normal, -ray, open), vec3(1.0 / 2.2)), 1);
}`;

const LENS = 0.32; // tangent of half the angle of view
const START = { yaw: 0.6, pitch: 0.42, zoom: 1 };
const SWIFT = 45,
  PATIENT = 350; // milliseconds that a frame may take while moving, and at rest

class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error("WebGL 2 is not available");
    this.program = linked(this.gl, VERTEX, FRAGMENT);
    this.places = new Map();
    this.tiles = 1;
    this.section = { normal: [1, 0, 0], share: 1 };
    this.colours = { body: [0.5, 0.5, 0.5], cut: [0.8, 0.3, 0.1] };
    this.nanoseconds = 2000; // that a pixel takes, as the last frame told
    Object.assign(this, START);
    this.gl.useProgram(this.program);
    this.gl.bindTexture(this.gl.TEXTURE_3D, this.gl.createTexture());
  }

  // Show the cell of an octant.
  show(octant) {
    const { gl } = this,
      field = new SmoothField(octant),
      n = field.length;
    const wrap = [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R];
    for (const axis of wrap) gl.texParameteri(gl.TEXTURE_3D, axis, gl.MIRRORED_REPEAT);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.RG16F, n, n, n, 0, gl.RG, gl.FLOAT, field.texels());
    this.field = field;
    this.voxel = 1 / octant.edge;
    this.corner = octant.opensFromTheMiddle ? 0.5 : 0;
  }

  turn(right, up) {
    this.yaw -= right;
    this.pitch = Math.min(Math.max(this.pitch + up, -1.5), 1.5);
  }

  magnify(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.5), 8);
  }

  reset() {
    Object.assign(this, START);
  }

  // Draw as finely as the time allows: less so while something moves.
  draw(moving = false) {
    const { clientWidth, clientHeight } = this.canvas;
    if (!this.field || !clientWidth) return;
    const affordable = ((moving ? SWIFT : PATIENT) * 1e6) / this.nanoseconds;
    const ratio = Math.sqrt(affordable / (clientWidth * clientHeight));
    const finest = moving ? devicePixelRatio : 2 * devicePixelRatio;
    this.drawAt(clientWidth, clientHeight, Math.min(Math.max(ratio, 0.35), finest));
  }

  // Draw with some pixels of the picture for each of the page, and learn how long that takes.
  drawAt(width, height, ratio) {
    const { gl, canvas } = this,
      begin = performance.now();
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    gl.viewport(0, 0, canvas.width, canvas.height);
    this.setUniforms(width / height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0),
      pixels = canvas.width * canvas.height;
    gl.flush();
    const wait = () => {
      if (gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED) return setTimeout(wait, 2);
      gl.deleteSync(fence);
      this.nanoseconds = Math.max(1, (1e6 * (performance.now() - begin)) / pixels);
    };
    setTimeout(wait);
  }

  setUniforms(aspect) {
    const { gl, tiles, section } = this;
    const [sy, cy] = [Math.sin(this.yaw), Math.cos(this.yaw)];
    const [sp, cp] = [Math.sin(this.pitch), Math.cos(this.pitch)];
    const right = [-sy, cy, 0],
      up = [-sp * cy, -sp * sy, cp],
      back = [cp * cy, cp * sy, sp];
    const narrow = Math.min(aspect, 1);
    const lens = [(LENS * aspect) / narrow, LENS / narrow];
    const length = Math.hypot(...section.normal);
    const normal = section.normal.map((n) => n / length);
    const depth = section.share * tiles * normal.reduce((a, b) => a + b);
    gl.uniform1f(this.place("level"), this.field.level);
    gl.uniform1f(this.place("voxel"), this.voxel);
    gl.uniform1f(this.place("tiles"), tiles);
    gl.uniform1f(this.place("corner"), this.corner);
    gl.uniform2f(this.place("lens"), ...lens);
    gl.uniformMatrix3fv(this.place("turn"), false, [...right, ...up, ...back]);
    gl.uniform1f(this.place("away"), (2.7 * tiles) / this.zoom);
    gl.uniform4f(this.place("plane"), ...normal, section.share < 1 ? depth : 2 * tiles);
    gl.uniform3f(this.place("body"), ...this.colours.body);
    gl.uniform3f(this.place("cut"), ...this.colours.cut);
  }

  place(name) {
    if (!this.places.has(name)) {
      this.places.set(name, this.gl.getUniformLocation(this.program, name));
    }
    return this.places.get(name);
  }
}

function linked(gl, ...sources) {
  const program = gl.createProgram();
  for (const [n, source] of sources.entries()) {
    const shader = gl.createShader(n ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(gl.getProgramInfoLog(program) || "the viewer cannot be compiled");
  }
  return program;
}
